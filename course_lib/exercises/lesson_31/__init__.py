"""Exercises of lesson 31: a collate function, a training step, generation with a cache."""

from course_lib.exercises.lesson_31.collate import collate
from course_lib.exercises.lesson_31.generate import generate
from course_lib.exercises.lesson_31.train_step import train_step

EXERCISES = (collate, train_step, generate)
