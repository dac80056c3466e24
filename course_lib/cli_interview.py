"""The interview verbs of `course`: drill, mock, progress, export, coverage of the question bank."""

import argparse
import sys
from pathlib import Path
from typing import Any

from course_lib.cli_call import above, whole

LANGUAGES = ("en", "zh")
DEPTHS = ("screen", "onsite", "staff")  # as in interview/record.py, which imports too much for `course --help`
MOST_DAYS, MOST_MINUTES = 366, 24 * 60  # as in interview/plan.py


def add_interview_parsers(verbs: Any) -> None:
    """Add the verbs to the subparsers of `course`."""
    drill = verbs.add_parser("drill", help="practise the interview questions that are due")
    drill.add_argument("--lesson", action="append", help='two digits, "07"; may be given several times')
    drill.add_argument("--depth", choices=DEPTHS, help="only questions of this depth")
    drill.add_argument("--language", choices=LANGUAGES, default="en", help="language of questions and answers")
    drill.add_argument(
        "--days", type=whole(1, MOST_DAYS), help="days until the interview: plan them, and ask today's share"
    )
    drill.add_argument("--minutes", type=above(0, MOST_MINUTES), default=20.0, help="minutes a day, for the plan (20)")
    drill.set_defaults(run=_drill)
    _add_mock_parser(verbs)
    progress = verbs.add_parser("progress", help="what is due and what is weak")
    progress.add_argument("--language", choices=LANGUAGES, default="en", help="language of the text")
    progress.add_argument("--figure", type=Path, help="draw it as well, into this PNG file")
    progress.set_defaults(run=_progress)
    export = verbs.add_parser("export", help="the questions as an Anki package or as sheets to print")
    kinds = export.add_subparsers(dest="kind", required=True, metavar="KIND")
    anki = kinds.add_parser("anki", help="an Anki package; importing a newer one keeps all reviews")
    anki.add_argument("--out", type=Path, default=Path("every-answer-runs.apkg"), help="file to write")
    anki.add_argument("--language", choices=(*LANGUAGES, "both"), default="both", help="language of the cards (both)")
    anki.add_argument("--lesson", action="append", help='two digits, "07"; may be given several times')
    anki.add_argument("--depth", choices=DEPTHS, help="only questions of this depth")
    anki.add_argument(
        "--cards",
        choices=("questions", "points"),
        default="questions",
        help="the whole answer on a card (questions), or one key point a card (points)",
    )
    anki.set_defaults(run=_export_anki)
    sheet = kinds.add_parser("sheet", help="one part in both languages, as HTML to print")
    sheet.add_argument("--part", type=int, required=True, help="number of the part, 1 to 9")
    sheet.add_argument("--pdf", action="store_true", help="print it to a PDF as well, with an installed browser")
    sheet.add_argument("--out", type=Path, help="HTML file to write; the PDF gets the same name")
    sheet.set_defaults(run=_export_sheet)
    coverage = verbs.add_parser("coverage", help="what of the collected questions and errors the bank covers")
    coverage.add_argument("--missing", action="store_true", help="list only what is missing")
    coverage.set_defaults(run=_coverage)


def _add_mock_parser(verbs: Any) -> None:
    mock = verbs.add_parser("mock", help="a timed mock interview, or the list and the report of earlier ones")
    mock.add_argument("--minutes", type=int, default=45, help="30 or 45 (45)")
    mock.add_argument("--focus", help='a lesson for questions and code, two digits, "07"')
    mock.add_argument("--level", help="screen, onsite (the default) or staff")
    mock.add_argument("--seed", type=int, help="the same seed and reviews make the same interview")
    mock.add_argument("--language", choices=LANGUAGES, default="en", help="language of questions and answers")
    what = mock.add_mutually_exclusive_group()
    what.add_argument(
        "--resume", nargs="?", const="", metavar="ID", help="go on with an unfinished one, by default the last"
    )
    what.add_argument("--drop", metavar="ID", help="give an unfinished one up; its answers stay in the list")
    what.add_argument("--report", nargs="?", const="", metavar="ID", help="show a report again, by default the last")
    what.add_argument("--list", action="store_true", help="list all of them")
    mock.set_defaults(run=_mock)


def _drill(args: argparse.Namespace) -> int:
    from course_lib.interview.drill_terminal import practise
    from course_lib.interview.plan import say_plan
    from course_lib.interview.practice import Session
    from course_lib.interview.terminal import Screen
    from course_lib.learner.store import StoreError

    screen = Screen(args.language)
    try:
        session = Session(args.lesson, depth=args.depth, days=args.days, minutes=args.minutes)
        for text in (session.store.notice, say_plan(session.plan, args.language) if session.plan else ""):
            if text:
                screen.say(text)
        practise(session, args.language, screen.key, screen.say)
    except (StoreError, ValueError) as error:
        return _refuse(error)
    return 0


def _mock(args: argparse.Namespace) -> int:
    from course_lib.interview.mock_terminal import run_mock
    from course_lib.interview.terminal import Screen
    from course_lib.learner.store import StaleMock, StoreError

    screen = Screen(args.language)
    try:
        return run_mock(args, screen.ask, screen.say)
    except (StoreError, StaleMock, LookupError, ValueError) as error:
        return _refuse(error)


def _progress(args: argparse.Namespace) -> int:
    from course_lib.interview.progress import draw_progress, read_standing, say_progress
    from course_lib.interview.terminal import Screen
    from course_lib.learner.store import StoreError
    from course_lib.lesson.figures import png

    try:
        standing = read_standing()
        Screen(args.language).tell(say_progress(standing, args.language))
        if args.figure is not None:
            args.figure.write_bytes(png(draw_progress(standing)[0]))
    except (StoreError, OSError, ValueError) as error:
        return _refuse(error)
    return 0


def _export_anki(args: argparse.Namespace) -> int:
    from course_lib.interview.export import write_anki

    try:
        choice = {"language": args.language, "lessons": args.lesson, "depth": args.depth, "cards": args.cards}
        print(f"{args.out}: {write_anki(args.out, **choice)} notes")
    except (OSError, ValueError) as error:
        return _refuse(error)
    return 0


def _export_sheet(args: argparse.Namespace) -> int:
    from course_lib.interview.page import find_part
    from course_lib.interview.sheet import PrintError, print_pdf, write_sheet

    page = args.out or Path(f"every-answer-runs-part-{args.part}.html")
    try:
        write_sheet(find_part(args.part), page)
        print(page)
        if args.pdf:
            print_pdf(page, page.with_suffix(".pdf"))
            print(page.with_suffix(".pdf"))
    except (OSError, ValueError, PrintError) as error:
        return _refuse(error)
    return 0


def _coverage(args: argparse.Namespace) -> int:
    from course_lib.interview.coverage import measure_coverage, report

    found = measure_coverage()
    print(report(found, missing_only=args.missing))
    return 0 if found.complete else 1


def _refuse(error: Exception) -> int:
    """Say why in one line. 2: the call does not fit. 1: it does, and this machine or its files are not ready for it."""
    if isinstance(error, BrokenPipeError):  # an OSError of the output, no wrong call
        raise error
    print(" ".join(str(error).split()), file=sys.stderr)
    return 1 if isinstance(error, RuntimeError) else 2
