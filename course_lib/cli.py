"""The `course` command: one verb a line, each living in the module that does the work."""

import argparse
import sys

from course_lib.cli_interview import add_interview_parsers
from course_lib.cli_train import add_train_parser


def main(argv: list[str] | None = None) -> int:
    """Run `course VERB ...`; return the exit status."""
    parser = argparse.ArgumentParser(prog="course", description="Every Answer Runs: the course's command line.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("doctor", help="is this machine ready, and if not, what to do").set_defaults(run=_doctor)
    verbs.add_parser("lessons", help="list the lessons, planned ones marked").set_defaults(run=_lessons)
    add_train_parser(verbs)
    add_interview_parsers(verbs)
    lab = verbs.add_parser("lab", help="open JupyterLab on the start page")
    lab.add_argument("--port", type=int, help="use this port or fail; without it Jupyter takes the next free one")
    lab.set_defaults(run=_lab)
    args = parser.parse_args(argv)
    return args.run(args)


def _doctor(_args: argparse.Namespace) -> int:
    from course_lib import doctor

    return doctor.run()


def _lab(args: argparse.Namespace) -> int:
    from course_lib import lab

    return lab.run(args.port)


def _lessons(_args: argparse.Namespace) -> int:
    from course_lib.lesson.syllabus import load_lessons

    for lesson in load_lessons():
        print(f"{lesson.number}  {lesson.title}{'' if lesson.built else '  (planned)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
