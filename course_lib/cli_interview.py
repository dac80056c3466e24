"""The interview verbs of `course`: coverage of the question bank."""

import argparse
from typing import Any


def add_interview_parsers(verbs: Any) -> None:
    """Add the verbs to the subparsers of `course`."""
    coverage = verbs.add_parser("coverage", help="what of the collected questions and errors the bank covers")
    coverage.add_argument("--missing", action="store_true", help="list only what is missing")
    coverage.set_defaults(run=_coverage)


def _coverage(args: argparse.Namespace) -> int:
    from course_lib.interview.coverage import measure_coverage, report

    found = measure_coverage()
    print(report(found, missing_only=args.missing))
    return 0 if found.complete else 1
