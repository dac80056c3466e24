"""Exercises of lesson 09: attention, heads, rotary positions, M-RoPE ids, softmax by blocks, a step of decoding."""

from course_lib.exercises.lesson_09.decode_step import decode_step
from course_lib.exercises.lesson_09.mha import mha
from course_lib.exercises.lesson_09.mrope_ids import mrope_ids
from course_lib.exercises.lesson_09.online_softmax import online_softmax
from course_lib.exercises.lesson_09.rope import rope
from course_lib.exercises.lesson_09.sdpa import sdpa

EXERCISES = (sdpa, mha, rope, mrope_ids, online_softmax, decode_step)
