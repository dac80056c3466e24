"""What the learner did: one file in the user's data folder, and what can be read from it."""
