"""Learners' copies of the lessons: made, brought up to date without losing what was written, brought back."""
