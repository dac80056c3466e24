"""The interview verbs of `course`: drill, mock, progress, export, coverage of the question bank."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
DEPTHS = ("screen", "onsite", "staff")  # as in interview/record.py, which imports too much for `course --help`
SAID = {
    "en": {
        "think": "Say your answer aloud, then press Enter (q ends): ",
        "none": "{!r} is none of 1, 2, 3, 4, q",
        "kept": "{} answered; everything is kept.",
    },
    "zh": {
        "think": "先出声回答，再按回车（q 结束）：",
        "none": "{!r} 不是 1、2、3、4、q 之一",
        "kept": "已答 {} 题，全部保存。",
    },
}


def add_interview_parsers(verbs: Any) -> None:
    """Add the verbs to the subparsers of `course`."""
    drill = verbs.add_parser("drill", help="practise the interview questions that are due")
    drill.add_argument("--lesson", action="append", help='two digits, "07"; may be given several times')
    drill.add_argument("--depth", choices=DEPTHS, help="only questions of this depth")
    drill.add_argument("--language", choices=LANGUAGES, default="en", help="language of questions and answers")
    drill.add_argument("--days", type=int, help="days until the interview: plan them, and ask today's share")
    drill.add_argument("--minutes", type=float, default=20.0, help="minutes a day, for the plan (20)")
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


def practise(session: Any, language: str, ask: Callable[[str], str], say: Callable[[str], None] = print) -> None:
    """Ask what is due in a terminal until nothing is, or until the learner types q or ends the input."""
    from course_lib.interview.answer import WORDS, as_text
    from course_lib.interview.drill import LABELS
    from course_lib.interview.schedule import next_times, say_time
    from course_lib.learner.tables import RATINGS

    said, labels = SAID[language], LABELS[language]
    try:
        while waiting := session.queue():
            card, counts = waiting[0], session.counts()
            say("\n" + " · ".join(f"{counts[name]} {labels[name]}" for name in ("due", "new", "later", "done")))
            if card.request:
                say(labels["asked"].format(card.request.reason))
            say(f"{card.question.id} · {WORDS[language][card.question.depth]} · {card.question.question[language]}")
            if ask(said["think"]).strip() == "q":
                break
            say(f"\n{as_text(card.question, language)}\n")
            times = next_times(card, session.clock())
            choices = " · ".join(f"{key} {labels[key]} ({say_time(times[key], language)})" for key in RATINGS)
            while (answer := ask(f"{choices}: ").strip()) not in {*map(str, RATINGS), "q"}:
                say(said["none"].format(answer))
            if answer == "q":
                break
            session.rate(card, int(answer))
        else:
            say(labels["empty"])
            return
    except (EOFError, KeyboardInterrupt):
        say("")  # the prompt is still on its line
    say(said["kept"].format(session.done))


def _drill(args: argparse.Namespace) -> int:
    from course_lib.interview.drill import Session
    from course_lib.interview.plan import say_plan
    from course_lib.learner.store import StoreError

    try:
        session = Session(args.lesson, depth=args.depth, days=args.days, minutes=args.minutes)
        for text in (session.store.notice, say_plan(session.plan, args.language) if session.plan else ""):
            print(text, end="\n" if text else "")
        practise(session, args.language, input)
    except (StoreError, ValueError) as error:
        return _refuse(error)
    return 0


def _mock(args: argparse.Namespace) -> int:
    from course_lib.interview.mock_terminal import run_mock
    from course_lib.interview.rounds.session import NotNow
    from course_lib.learner.store import StaleMock, StoreError

    try:
        return run_mock(args, input, print)
    except (StoreError, StaleMock, NotNow, LookupError, ValueError) as error:
        return _refuse(error)


def _progress(args: argparse.Namespace) -> int:
    from course_lib.interview.progress import draw_progress, read_standing, say_progress
    from course_lib.learner.store import StoreError
    from course_lib.lesson.figures import png

    try:
        standing = read_standing()
    except StoreError as error:
        return _refuse(error)
    print(say_progress(standing, args.language))
    try:
        if args.figure is not None:
            args.figure.write_bytes(png(draw_progress(standing)[0]))
    except OSError as error:
        return _refuse(error)
    return 0


def _export_anki(args: argparse.Namespace) -> int:
    from course_lib.interview.export import write_anki

    try:
        print(f"{args.out}: {write_anki(args.out)} notes")
    except OSError as error:
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
    print(error, file=sys.stderr)
    return 1
