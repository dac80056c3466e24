"""The verbs about the learner's copies of the lessons: `course lab`, `course copy`, `course reset`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from course_lib.cli_call import whole

FOLDER = "the folder of your copies (my-lessons in the repository, or what COURSE_LESSONS names)"


def add_lesson_parsers(verbs: Any) -> None:
    """Add the verbs to `course`."""
    lab = verbs.add_parser("lab", help="bring your copies of the lessons up to date and open them in JupyterLab")
    lab.add_argument("--lessons", metavar="DIR", help=FOLDER)
    port = "use this port or fail; without it Jupyter takes the next free one"
    lab.add_argument("--port", type=whole(1, 65535), help=port)
    lab.set_defaults(run=_refusing(_lab))

    copy = verbs.add_parser("copy", help="the same without opening JupyterLab: for VS Code and other programs")
    copy.add_argument("--lessons", metavar="DIR", help=FOLDER)
    copy.add_argument("--now", action="store_true", help="even while JupyterLab is open; close the lessons there first")
    copy.add_argument(
        "--jupyter-config", metavar="FILE", help="also write the course's settings, for a server that you start"
    )
    copy.set_defaults(run=_refusing(_copy))

    reset = verbs.add_parser(
        "reset", help="bring a lesson, or one exercise, back as shipped; yours is kept with its date"
    )
    reset.add_argument("lesson", metavar="NN", help="the lesson's number: 12")
    reset.add_argument("--exercise", metavar="NN.N", help="only the answer to this exercise: 12.1")
    reset.add_argument("--lessons", metavar="DIR", help=FOLDER)
    reset.set_defaults(run=_refusing(_reset))


def _refusing(act: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """What cannot be done is one line: status 2 for a wrong argument, 1 for a folder that cannot be written."""

    def run(args: argparse.Namespace) -> int:
        try:
            return act(args)
        except (ValueError, OSError) as error:
            print(f"course {args.verb}: {error}", file=sys.stderr)
            return 2 if isinstance(error, ValueError) else 1

    return run


def _lab(args: argparse.Namespace) -> int:
    from course_lib import lab

    return lab.run(args.lessons, args.port)


def _copy(args: argparse.Namespace) -> int:
    from course_lib.copies.folder import choose
    from course_lib.copies.update import update

    folder = choose(args.lessons, os.environ)
    print("\n".join(update(folder, now=args.now) or [f"every lesson in {folder} is up to date"]))
    if args.jupyter_config:
        from course_lib import lab

        lab.lay_out(folder)
        lab.write_configuration(folder, Path(args.jupyter_config))
    return 0


def _reset(args: argparse.Namespace) -> int:
    from course_lib.copies.folder import choose
    from course_lib.copies.reset import reset
    from course_lib.copies.update import open_server

    folder = choose(args.lessons, os.environ)
    print(reset(folder, args.lesson, args.exercise))
    if open_server(folder):
        print("if the lesson is open in JupyterLab: File > Reload Notebook from Disk")
    return 0
