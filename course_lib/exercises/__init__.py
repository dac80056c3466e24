"""Exercises, one package per lesson and one module per exercise: statement, stages, reference, mutants, hints."""
