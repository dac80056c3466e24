"""What a model looks at: attribution, attention, and tests of whether either tells the truth."""
