"""The `course` command: one verb a line, each living in the module that does the work."""

import argparse
import sys
from typing import Any

from course_lib.cli_call import Parser, quietly, whole
from course_lib.cli_interview import add_interview_parsers
from course_lib.cli_lessons import add_lesson_parsers
from course_lib.cli_train import add_train_parser


def main(argv: list[str] | None = None) -> int:
    """Run `course VERB ...`; return the exit status."""
    return quietly(lambda: _run(argv))


def _run(argv: list[str] | None) -> int:
    parser = Parser(prog="course", description="Every Answer Runs: the course's command line.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("doctor", help="is this machine ready, and if not, what to do").set_defaults(run=_doctor)
    verbs.add_parser("lessons", help="list the lessons, planned ones marked").set_defaults(run=_lessons)
    add_lesson_parsers(verbs)
    add_train_parser(verbs)
    add_interview_parsers(verbs)
    _add_arithmetic_parser(verbs)
    args = parser.parse_args(argv)
    return args.run(args)


def _add_arithmetic_parser(verbs: Any) -> None:
    drill = verbs.add_parser("arithmetic", help="random interview sums: tokens, bytes, FLOPs, seconds")
    drill.add_argument("--family", help="only this kind of problem; --list names them")
    drill.add_argument("--step", type=int, choices=(1, 2, 3), help="1 round numbers, 2 real models, 3 combined")
    drill.add_argument("--language", choices=("en", "zh"), default="en", help="language of the problems")
    drill.add_argument("--count", type=whole(1, 1000), default=10, help="how many problems, 1 to 1000 (10)")
    drill.add_argument("--seed", type=int, help="the same seed asks the same problems")
    drill.add_argument("--list", action="store_true", help="list the kinds of problems and stop")
    drill.set_defaults(run=_arithmetic)


def _arithmetic(args: argparse.Namespace) -> int:
    from course_lib.interview import arithmetic_terminal
    from course_lib.interview.terminal import Screen

    screen = Screen(args.language)
    try:
        if args.list:
            arithmetic_terminal.list_families(args.language)
        else:
            choice = {"count": args.count, "seed": args.seed, "language": args.language}
            arithmetic_terminal.drill(args.family, args.step, **choice, ask=screen.ask, say=screen.say)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _doctor(_args: argparse.Namespace) -> int:
    from course_lib import doctor

    return doctor.run()


def _lessons(_args: argparse.Namespace) -> int:
    from course_lib.lesson.syllabus import load_lessons

    for lesson in load_lessons():
        print(f"{lesson.number}  {lesson.title}{'' if lesson.built else '  (planned)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
