"""Exercises of lesson 12: cross-entropy with all its options, focal loss, Huber's loss, logit adjustment."""

from course_lib.exercises.lesson_12.cross_entropy import cross_entropy
from course_lib.exercises.lesson_12.focal import focal
from course_lib.exercises.lesson_12.huber import huber
from course_lib.exercises.lesson_12.logit_adjust import logit_adjust

EXERCISES = (cross_entropy, focal, huber, logit_adjust)
