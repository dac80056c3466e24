"""Exercises, one module per lesson: statement, stages, reference, mutants, hints."""
