"""Notebooks are checked as they were built: static explorers, one thread, no network look-ups of models.

Their kernels try the live explorers as well, see tests/rehearsal.py.
"""

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"

for name, value in {"COURSE_STATIC": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}.items():
    os.environ.setdefault(name, value)
os.environ["PYTHONSTARTUP"] = str(TESTS / "kernel_startup.py")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
