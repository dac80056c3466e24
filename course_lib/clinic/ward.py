"""All cases, in order: each module of cases/ holds one as CASE."""

import importlib
import pkgutil

from course_lib.clinic import cases
from course_lib.clinic.case import Case

CASES: tuple[Case, ...] = tuple(
    importlib.import_module(f"{cases.__name__}.{module.name}").CASE
    for module in sorted(pkgutil.iter_modules(cases.__path__), key=lambda module: module.name)
)


def find_case(number: str) -> Case:
    """The case "03"; ValueError names the cases there are."""
    for case in CASES:
        if case.number == number:
            return case
    raise ValueError(f"no case {number!r}; there are {', '.join(case.number for case in CASES)}")
