"""Exercises of lesson 17: a step of AdamW, Muon's Newton-Schulz rounds, which parameters decay, clipping the norm."""

from course_lib.exercises.lesson_17.adamw_step import adamw_step
from course_lib.exercises.lesson_17.clip_global_norm import clip_global_norm
from course_lib.exercises.lesson_17.newton_schulz import newton_schulz
from course_lib.exercises.lesson_17.param_groups import param_groups

EXERCISES = (adamw_step, newton_schulz, param_groups, clip_global_norm)
