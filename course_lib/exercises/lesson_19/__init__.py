"""Exercises of lesson 19: dropout, DropPath, lasso by proximal descent, early stopping."""

from course_lib.exercises.lesson_19.drop_path import drop_path
from course_lib.exercises.lesson_19.dropout import dropout
from course_lib.exercises.lesson_19.early_stop import early_stop
from course_lib.exercises.lesson_19.ista import ista

EXERCISES = (dropout, drop_path, ista, early_stop)
