"""The report of a mock interview: the same lines as Markdown, as HTML in the live view, as text in a terminal."""

import re
from collections.abc import Iterable
from html import escape
from textwrap import indent
from typing import NamedTuple

from course_lib.interview.answer import WORDS, cite
from course_lib.interview.links import anchor
from course_lib.interview.record import Question
from course_lib.interview.rounds.log import Mock
from course_lib.interview.rounds.outcome import Outcome, outcome, weak_questions
from course_lib.interview.rounds.page import Material
from course_lib.interview.rounds.project import GRILL, TINY_VLM
from course_lib.interview.rounds.rubric import DIMENSIONS, Points
from course_lib.interview.rounds.script import TITLES
from course_lib.interview.rounds.state import FORM
from course_lib.interview.rounds.words import REPORT_WORDS, VIEW_WORDS
from course_lib.interview.rounds.written import written
from course_lib.interview.sums.families import families
from course_lib.lesson.syllabus import load_lessons

CODE_STYLE = (
    'style="background:var(--jp-layout-color2);color:var(--jp-content-font-color1);padding:.6em;white-space:pre-wrap;'
    'font-family:var(--jp-code-font-family);line-height:1.4"'
)


class Entry(NamedTuple):
    """One line: text, the pages it points to as (label, address), and below it what the learner wrote, as it stands."""

    text: str
    links: tuple[tuple[str, str], ...] = ()
    written: str = ""


class Report(NamedTuple):
    """A title, then sections of lines."""

    title: str
    sections: tuple[tuple[str, tuple[Entry, ...]], ...]


def make_report(mock: Mock, past: list[Mock], material: Material, language: str = "en") -> Report:
    """The report of one interview. past: all interviews, this one included."""
    words, result = REPORT_WORDS[language], outcome(mock.state)
    script = mock.state.script
    title = words["title"].format(date=said_date(mock), minutes=script.minutes, level=WORDS[language][script.level])
    head = [Entry(_points(result.points, language)), Entry(words["how"]), Entry(script.why[language])]
    sections = [
        ("", tuple(head)),
        (words["time"], tuple(_time_lines(mock, result, language))),
        (words["profile"], tuple(_profile_lines(result, language))),
        (words["items"], tuple(_item_lines(result, material, language))),
        (words["written"], tuple(_written_lines(mock, material, language)) or (Entry(words["none"]),)),
        (words["read"], tuple(_reading(mock, result, material, language)) or (Entry(words["none"]),)),
        (words["drill"], tuple(_drill_lines(mock, material, language)) or (Entry(words["none"]),)),
        (words["past"], tuple(Entry(say_past(each, language)) for each in past)),
    ]
    return Report(title, tuple(sections))


def said_date(mock: Mock) -> str:
    """Day and minute of the start, local time."""
    return f"{mock.started.astimezone():%Y-%m-%d %H:%M}"


def say_past(mock: Mock, language: str = "en") -> str:
    """One interview in a line: date, length, level, state, points, points by dimension."""
    words, result, script = REPORT_WORDS[language], outcome(mock.state), mock.state.script
    focus = f" · {words['lesson'].format(script.focus)}" if script.focus else ""
    parts = [
        said_date(mock),
        f"{script.minutes} {VIEW_WORDS[language]['minutes']}",
        WORDS[language][script.level] + focus,
    ]
    parts.append(VIEW_WORDS[language]["state"].get(mock.state.status, mock.state.status))
    parts.append(_points(result.points, language))
    parts += [f"{DIMENSIONS[name].title[language]} {p.earned}/{p.possible}" for name, p in result.dimensions.items()]
    return " · ".join(parts)


def as_markdown(report: Report) -> str:
    """Plain Markdown, links as in show.py."""
    parts = [f"### {report.title}"]
    for title, entries in report.sections:
        lines = [
            f"- {_escape_markdown(entry.text)}"
            + "".join(f" · [{label}]({url})" for label, url in entry.links)
            + (f"\n\n{indent(_fenced(entry.written), '  ')}\n" if entry.written else "")
            for entry in entries
        ]
        parts.append("\n".join(([f"**{title}**", ""] if title else []) + lines))
    return "\n\n".join(parts) + "\n"


def as_text(report: Report) -> str:
    """For a terminal: no links, their labels."""
    lines = [report.title]
    for title, entries in report.sections:
        lines += ["", title] if title else []
        for entry in entries:
            lines.append("  " + " · ".join([entry.text, *(label for label, _ in entry.links)]))
            lines += [indent(entry.written, "    | ")] if entry.written else []
    return "\n".join(lines)


def as_html(report: Report) -> str:
    """For the live view."""
    parts = [f"<h3>{escape(report.title)}</h3>"]
    for title, entries in report.sections:
        parts.append(f"<p><b>{escape(title)}</b></p>" if title else "")
        items = "".join(
            f"<li>{escape(entry.text)}"
            + "".join(f" · {anchor(label, url)}" for label, url in entry.links)
            + (f"<pre {CODE_STYLE}>{escape(entry.written)}</pre>" if entry.written else "")
            + "</li>"
            for entry in entries
        )
        parts.append(f"<ul>{items}</ul>")
    return "".join(parts)


def name_of(kind: str, item: str, material: Material, language: str) -> str:
    """What an item is called in a report."""
    if kind == "depth":
        question = material.bank.get(item)
        return f"{item} {question.question[language]}" if question else f"{item} ({REPORT_WORDS[language]['gone']})"
    family = families().get(item.partition("/")[0]) if kind == "arithmetic" else None
    title = GRILL[item].title[language] if item in GRILL else family.title[language] if family else item
    return TITLES[kind][language] if kind == "opening" else say_pair(TITLES[kind][language], title, language)


def say_pair(name: str, value: str, language: str) -> str:
    """ "name: value", with the colon of the language."""
    return f"{name}：{value}" if language == "zh" else f"{name}: {value}"


def _names(dimensions: Iterable[str], language: str) -> str:
    return ("、" if language == "zh" else ", ").join(DIMENSIONS[name].title[language] for name in dimensions)


def _points(points: Points, language: str) -> str:
    return REPORT_WORDS[language]["points"].format(*points)


def _time_lines(mock: Mock, result: Outcome, language: str) -> list[Entry]:
    words, state, lines = REPORT_WORDS[language], mock.state, []
    for each in result.rounds:
        said = words["round"].format(used=f"{each.seconds / 60:.1f}", planned=each.planned)
        short = {topic: GRILL[topic].title[language] for topic in each.missed if topic in GRILL}
        missed = [short.get(item, item.partition("/")[0]) for item in each.missed if item != "opening"]
        notes = [words["missed"].format("; ".join(missed))] if missed else []
        notes += [words["early"]] if each.kind in state.left else []
        lines.append(Entry(" · ".join([say_pair(TITLES[each.kind][language], said, language), *notes])))
    whole = words["round"].format(used=f"{state.used / 60:.1f}", planned=state.script.minutes)
    lines.append(Entry(say_pair(VIEW_WORDS[language]["total"], whole, language)))
    if state.pauses or state.interruptions:
        lines.append(Entry(words["pauses"].format(pauses=state.pauses, interruptions=state.interruptions)))
    return lines


def _profile_lines(result: Outcome, language: str) -> list[Entry]:
    words = REPORT_WORDS[language]
    lines = [
        Entry(say_pair(DIMENSIONS[name].title[language], _points(points, language), language))
        for name, points in result.dimensions.items()
    ]
    if not result.strongest:
        return [*lines, Entry(words["alike"])]
    for which in ("strongest", "weakest"):
        names = _names(getattr(result, which), language)
        lines.append(Entry(words[which].format(names)))
    return lines


def _item_lines(result: Outcome, material: Material, language: str) -> list[Entry]:
    words = REPORT_WORDS[language]
    return [
        Entry(
            f"{name_of(each.round, each.item, material, language)} · {_points(each.points, language)}"
            + (f" · {words['weak']}" if each.weak else "")
        )
        for each in result.items
    ]


def _written_lines(mock: Mock, material: Material, language: str) -> list[Entry]:
    lines = []
    for node, note, text in written(mock.state, language):
        name = TITLES[node.round][language] if node == FORM else name_of(node.round, node.item, material, language)
        lines.append(Entry(f"{name} · {note}", written=text))
    return lines


def _reading(mock: Mock, result: Outcome, material: Material, language: str) -> list[Entry]:
    """For every weak answer where to read or practise: sections of lessons, a lesson, a kind of sums."""
    lines = []
    for each in result.items:
        name = name_of(each.round, each.item, material, language)
        if not each.weak:
            continue
        if each.round == "depth" and (question := material.bank.get(each.item)):
            links = tuple(_claims(question, language)) or _lesson_link(question.lesson, language)
            planned = f" · {REPORT_WORDS[language]['planned'].format(question.lesson)}"
            lines.append(Entry(name if links else name + planned, links))
        elif each.round == "coding":
            lines.append(Entry(name, _lesson_link(each.item[:2], language)))
        elif each.round == "arithmetic":
            lines.append(Entry(f'{name} · arithmetic("{each.item.partition("/")[0]}")'))
        elif each.round == "project" and (mock.state.form or {}).get("project") == TINY_VLM:
            lines.append(Entry(name, _lesson_link("31", language)))
        elif each.round == "project" and each.item in GRILL:  # no lesson knows the learner's own project
            holds = " · ".join(point[language] for point in GRILL[each.item].points)
            lines.append(Entry(f"{name} · {holds}"))
    return lines


def _claims(question: Question, language: str) -> list[tuple[str, str]]:
    shown = [evidence for evidence in question.evidence if evidence.is_claim and not evidence.planned]
    links = [cite(evidence, language) for evidence in shown]
    return list(dict.fromkeys((label, url) for label, url in links if url))


def _lesson_link(number: str, language: str) -> tuple[tuple[str, str], ...]:
    label = REPORT_WORDS[language]["lesson"].format(number)
    return tuple((label, lesson.notebook.name) for lesson in load_lessons() if lesson.number == number and lesson.built)


def _drill_lines(mock: Mock, material: Material, language: str) -> list[Entry]:
    found = []
    for id, low in weak_questions(mock.state).items():
        names = _names(low, language)
        found.append(Entry(f"{name_of('depth', id, material, language)} ({names})"))
    return found


def _escape_markdown(text: str) -> str:
    """Names of functions and families keep their underscores; formulas keep their dollars."""
    pieces = text.split("$")
    return "$".join(piece.replace("_", r"\_") if index % 2 == 0 else piece for index, piece in enumerate(pieces))


def _fenced(text: str) -> str:
    """A code block of Markdown whose fence the text does not contain."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
