"""Exercises of lesson 17: a step of AdamW, a step of Adadelta, which parameters decay, clipping by the global norm."""

from course_lib.exercises.lesson_17.adadelta_step import adadelta_step
from course_lib.exercises.lesson_17.adamw_step import adamw_step
from course_lib.exercises.lesson_17.clip_global_norm import clip_global_norm
from course_lib.exercises.lesson_17.param_groups import param_groups

EXERCISES = (adamw_step, adadelta_step, param_groups, clip_global_norm)
