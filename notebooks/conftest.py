"""Notebooks are checked as they were built: static explorers, one thread, no network look-ups of models."""

import os

for name, value in {"COURSE_STATIC": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}.items():
    os.environ.setdefault(name, value)
