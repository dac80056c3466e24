"""Exercises of lesson 21: precision, recall and F1 with averages, AUC with ties, a bootstrap interval, ECE."""

from course_lib.exercises.lesson_21.auc import auc
from course_lib.exercises.lesson_21.bootstrap_ci import bootstrap_ci
from course_lib.exercises.lesson_21.ece import ece
from course_lib.exercises.lesson_21.prf import prf

EXERCISES = (prf, auc, bootstrap_ci, ece)
