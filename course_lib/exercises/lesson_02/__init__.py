"""Exercises of lesson 02: streaming mean and deviation, split by group, offset of two streams, packed batch."""

from course_lib.exercises.lesson_02.find_offset import find_offset
from course_lib.exercises.lesson_02.group_split import group_split
from course_lib.exercises.lesson_02.packed_batch import packed_batch
from course_lib.exercises.lesson_02.welford import welford

EXERCISES = (welford, group_split, find_offset, packed_batch)
