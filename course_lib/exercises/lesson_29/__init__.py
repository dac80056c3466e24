"""Exercises of lesson 29: integrated gradients, attention rollout, a deletion curve, the pointing game."""

from course_lib.exercises.lesson_29.attention_rollout import attention_rollout
from course_lib.exercises.lesson_29.deletion_curve import deletion_curve
from course_lib.exercises.lesson_29.integrated_gradients import integrated_gradients
from course_lib.exercises.lesson_29.pointing_game import pointing_game

EXERCISES = (integrated_gradients, attention_rollout, deletion_curve, pointing_game)
