"""Coverage: does the bank answer everything the collected answers name, and refute every error they repeat?

`datasets/sub_points.yaml` lists the sub-points of the 70 canonical questions. A point is covered when a record lists it
under `covers`, in the same words, and its English text says it. It rests on the evidence of the key points that say it,
else of the wrong answers that do, else of the whole record. A record of another question helps out by listing the point
with its question: "Q010: soft and hard weighting". `datasets/errata.csv` lists errors found in collected answers; the
starred ones have to be some record's wrong answer.
"""

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from course_lib.interview.evidence import Evidence
from course_lib.interview.questions import ROOT, load_questions
from course_lib.interview.record import Question, Text

CANONICAL = tuple(f"Q{number:03}" for number in range(1, 71))
MODERN = tuple(f"Q{number}" for number in range(101, 161))
SHOWN = 4  # references on one line of the report


@dataclass(frozen=True)
class SubPoint:
    """One thing an answer has to name: the words of `covers`, and the strings of which one has to be said."""

    question: str
    point: str
    said: tuple[str, ...]

    def is_said_in(self, text: str) -> bool:
        """Whether a string of `said` starts at the start of a word of `text`; all parts of "a & b" have to."""
        plain = _plain(text)
        return any(all(_starts_a_word(part, plain) for part in each.split(" & ")) for each in self.said)


@dataclass(frozen=True)
class Erratum:
    """An error of a collected answer, in our words; a starred one is what candidates really say."""

    id: str
    starred: bool
    statement: str
    lesson: str


@dataclass(frozen=True)
class Row:
    """What the bank has on one sub-point: the records that cover it and their evidence, or what is missing."""

    point: SubPoint
    by: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    missing: str = ""


@dataclass(frozen=True)
class Coverage:
    """The bank held against the lists."""

    rows: tuple[Row, ...]
    modern: dict[str, bool]
    """Q101 to Q160, and whether the bank has them."""
    refuted: dict[str, tuple[str, ...]]
    """Every erratum, and the questions whose wrong answer refutes it."""
    errata: dict[str, Erratum]
    strays: tuple[str, ...]
    """Entries of `covers` and `errata` that no list knows, with the record's file and line."""

    @cached_property
    def open_points(self) -> list[Row]:
        """Sub-points that nobody covers."""
        return [row for row in self.rows if row.missing]

    @cached_property
    def open_modern(self) -> list[str]:
        """Modern questions that the bank lacks."""
        return [id for id, present in self.modern.items() if not present]

    @cached_property
    def open_errata(self) -> list[Erratum]:
        """Starred errors that no wrong answer refutes."""
        return [each for each in self.errata.values() if each.starred and not self.refuted[each.id]]

    @property
    def complete(self) -> bool:
        """Whether nothing is open and no reference is astray."""
        return not (self.open_points or self.open_modern or self.open_errata or self.strays)


def load_sub_points(root: Path = ROOT) -> dict[str, tuple[SubPoint, ...]]:
    """Question id to its sub-points. ValueError for an entry without point or said, or a point that stands twice."""
    entries = yaml.safe_load((root / "datasets" / "sub_points.yaml").read_text(encoding="utf-8"))
    points = {}
    for question, listed in entries.items():
        for entry in listed:
            if set(entry) != {"point", "said"} or not entry["said"]:
                raise ValueError(f"sub_points.yaml, {question}: {entry} needs point and said, both not empty")
        points[question] = tuple(SubPoint(question, entry["point"], tuple(entry["said"])) for entry in listed)
        names = [each.point for each in points[question]]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sub_points.yaml, {question}: {twice} stands twice; give each sub-point its own words")
    return points


def load_errata(root: Path = ROOT) -> dict[str, Erratum]:
    """All catalogued errors by id, from datasets/errata.csv."""
    with (root / "datasets" / "errata.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Erratum(row["id"], row["starred"] == "yes", row["error"], row["lesson"]) for row in csv.DictReader(file)
        ]
    return {row.id: row for row in rows}


def measure_coverage(bank: list[Question] | None = None, *, root: Path = ROOT) -> Coverage:
    """Hold `bank`, by default the bank of the repository `root`, against the lists."""
    bank = load_questions(root=root) if bank is None else bank
    points, errata = load_sub_points(root), load_errata(root)
    refuted = {
        id: tuple(each.id for each in bank if any(id in wrong.errata for wrong in each.wrong_answers)) for id in errata
    }
    return Coverage(
        rows=tuple(_row(point, bank) for listed in points.values() for point in listed),
        modern={id: any(each.id == id for each in bank) for id in MODERN},
        refuted=refuted,
        errata=errata,
        strays=tuple(_strays(bank, points, errata)),
    )


def report(coverage: Coverage, *, missing_only: bool = False) -> str:
    """The coverage as text: a line a sub-point, then the open modern questions and errors, then totals."""
    lines, question = [], None
    for row in coverage.open_points if missing_only else coverage.rows:
        if row.point.question != question:
            question = row.point.question
            own = [each for each in coverage.rows if each.point.question == question]
            lines.append(f"{question}  {sum(not each.missing for each in own)} of {len(own)}")
        lines.append(f"  {_line(row)}")
    if not missing_only:
        lines += [f"{id}  {', '.join(by)}" for id, by in coverage.refuted.items() if by]
    lines += [f"{id}  modern question, missing" for id in coverage.open_modern]
    lines += [
        f"{each.id}  lesson {each.lesson}, no wrong answer refutes: {each.statement}" for each in coverage.open_errata
    ]
    lines += [f"stray: {stray}" for stray in coverage.strays]
    return "\n".join([*lines, "", _totals(coverage)])


def said_in(question: Question) -> list[Text]:
    """All that a record says beside its question: answer, key points, follow-ups, wrong answers."""
    pairs = [text for each in question.follow_ups for text in (each.question, each.answer)]
    wrong = [text for each in question.wrong_answers for text in (each.statement, each.why)]
    return [question.answer, *question.key_points, *pairs, *wrong]


def _row(point: SubPoint, bank: list[Question]) -> Row:
    listing = [each for each in bank if point.point in _covered(each, point.question)]
    saying = [each for each in listing if point.is_said_in(_text(each))]
    if saying:
        evidence = dict.fromkeys(found for each in saying for found in _evidence(point, each))
        return Row(point, tuple(each.id for each in saying), tuple(evidence))
    if listing:
        return Row(point, (), (), f"{listing[0].id} lists it and says none of: {', '.join(point.said)}")
    present = any(each.id == point.question for each in bank)
    return Row(point, (), (), f"not under covers of {point.question}" if present else f"no record {point.question}")


def _evidence(point: SubPoint, question: Question) -> tuple[Evidence, ...]:
    keys = [each for each in question.key_points if point.is_said_in(each.en)]
    wrong = [each for each in question.wrong_answers if point.is_said_in(f"{each.statement.en} {each.why.en}")]
    return tuple(found for each in keys or wrong for found in each.evidence) or question.evidence


def _covered(record: Question, question: str) -> list[str]:
    """The points of `question` that a record lists: its own bare, those of another question with its id in front."""
    own = list(record.covers) if record.id == question else []
    return own + [each.removeprefix(f"{question}: ") for each in record.covers if each.startswith(f"{question}: ")]


def _strays(bank: list[Question], points: dict[str, tuple[SubPoint, ...]], errata: dict[str, Erratum]) -> list[str]:
    found = []
    for record in bank:
        for entry in record.covers:
            other = re.fullmatch(r"(Q\d{3}): (.*)", entry)
            question, point = other.groups() if other else (record.id, entry)
            if point not in [each.point for each in points.get(question, ())]:
                found.append(f"{record.source}: {record.id} covers {point!r}, no sub-point of {question}")
        cited = [id for wrong in record.wrong_answers for id in wrong.errata]
        found += [f"{record.source}: {record.id} refutes {id}, not in errata.csv" for id in cited if id not in errata]
    return found


def _line(row: Row) -> str:
    if row.missing:
        return f"✗ {row.point.point}: {row.missing}"
    refs = [each.ref.partition(" <")[0] + (" (planned)" if each.planned else "") for each in row.evidence]
    more = f" and {len(refs) - SHOWN} more" if len(refs) > SHOWN else ""
    return f"✓ {row.point.point}: {', '.join(row.by)}; {', '.join(refs[:SHOWN])}{more}"


def _totals(coverage: Coverage) -> str:
    starred = [each for each in coverage.errata.values() if each.starred]
    planned = sum(bool(row.evidence) and all(each.planned for each in row.evidence) for row in coverage.rows)
    counts = {
        "sub-points": (len(coverage.rows) - len(coverage.open_points), len(coverage.rows)),
        "modern questions": (len(coverage.modern) - len(coverage.open_modern), len(coverage.modern)),
        "starred errors": (len(starred) - len(coverage.open_errata), len(starred)),
        "all errors": (sum(bool(by) for by in coverage.refuted.values()), len(coverage.errata)),
    }
    lines = [f"{name:<18}{done} of {total}, {done / total:.1%}" for name, (done, total) in counts.items()]
    lines.append(f"{'planned only':<18}{planned} sub-points rest on claims of lessons not written yet alone")
    return "\n".join(lines)


def _text(question: Question) -> str:
    return "\n".join(text.en for text in said_in(question))


def _plain(text: str) -> str:
    """Lower case, one kind of hyphen, and formulas without their marks: "$L_1$" says "l1"."""
    return re.sub(r"[$_{}\\]", "", text.lower().replace("–", "-").replace("\n", " "))


def _starts_a_word(part: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}", text) is not None
