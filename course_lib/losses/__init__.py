"""Training objectives: classification, regression, margin, and what to do when classes are not equally frequent."""
