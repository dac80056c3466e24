"""Exercises of lesson 07: fuse by name, low-rank fusion, late fusion in two spaces, choose an operator."""

from course_lib.exercises.lesson_07.fuse import fuse
from course_lib.exercises.lesson_07.late_fusion import late_fusion
from course_lib.exercises.lesson_07.low_rank import low_rank
from course_lib.exercises.lesson_07.pick_operator import pick_operator

EXERCISES = (fuse, low_rank, late_fusion, pick_operator)
