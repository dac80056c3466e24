"""Exercises of lesson 09: scaled dot-product attention, several heads, rotary positions, M-RoPE ids."""

from course_lib.exercises.lesson_09.mha import mha
from course_lib.exercises.lesson_09.mrope_ids import mrope_ids
from course_lib.exercises.lesson_09.rope import rope
from course_lib.exercises.lesson_09.sdpa import sdpa

EXERCISES = (sdpa, mha, rope, mrope_ids)
