"""The question bank: read from datasets/questions/*.yaml, and refused with file and line when a record is wrong.

A record is complete in English and Chinese, every key point names its evidence, and nothing is guessed: an unknown key,
a missing translation or a reference to a claim that its lesson does not make stops the load.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, get_args, get_origin, get_type_hints

import yaml

from course_lib.interview.evidence import (
    NOT_WRITTEN,
    Evidence,
    Targets,
    exercise_is_planned,
    find_evidence,
    scan_targets,
)
from course_lib.interview.record import LANGUAGES, Question, Text

ROOT = Path(__file__).resolve().parents[2]
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser marks lines as well and is much faster


class QuestionError(ValueError):
    """A record of the bank is wrong; the message opens with file and line."""


def load_questions(lesson: str | None = None, *, root: Path = ROOT) -> list[Question]:
    """All questions, or those of one lesson ("07"), in the order of the files.

    root: the repository, with datasets/questions, notebooks/src and course_lib/exercises below it.
    Raises QuestionError with file and line for a wrong record, ValueError for a lesson without questions.
    """
    targets, bank = scan_targets(root), {}
    for path in sorted((root / "datasets" / "questions").glob("*.yaml")):
        for question in _read_file(path, targets):
            if question.id in bank:
                first = bank[question.id].source
                raise QuestionError(f"{question.source}: {question.id} is already the id of {first}; renumber one")
            bank[question.id] = question
    found = [question for question in bank.values() if lesson in (None, question.lesson)]
    if not found:
        have = ", ".join(sorted({question.lesson for question in bank.values()})) or "none"
        raise ValueError(f"no question for lesson {lesson!r}; the bank has questions for {have}")
    return found


def _read_file(path: Path, targets: dict[str, Targets]) -> Iterator[Question]:
    try:
        top = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        advice = "quote text that holds ': ' or ' #'"
        raise QuestionError(f"{path.name}:{line}: not YAML ({error.problem}); {advice}") from None
    reader = _Reader(path, targets)
    if not isinstance(top, yaml.SequenceNode):
        raise QuestionError(f"{path.name}:1: the file is not a list; start every question with '- id: Q…'")
    for node in top.value:
        yield reader.question(node)


@dataclass(frozen=True)
class _Reader:
    """Builds records from YAML nodes, which know their line; values stay strings ("07" is no octal number)."""

    path: Path
    targets: dict[str, Targets]

    def question(self, node: yaml.Node) -> Question:
        """Build one record, then check what only the whole record or the lessons can tell."""
        question = self.build(Question, node, "question")
        at = {key.value: value for key, value in node.value}
        if not re.fullmatch(r"Q\d{3}", question.id):
            raise self.error(at["id"], f"id {question.id!r} is not Q and three digits, like Q004")
        if not re.fullmatch(r"\d\d", question.lesson):
            raise self.error(at["lesson"], f"lesson {question.lesson!r} is not two digits, like '07'")
        planned = [e.ref for e in question.evidence if e.planned]
        if question.exercise is not None:
            planned += [question.exercise] * self.lookup(at["exercise"], exercise_is_planned, question.exercise)
        section = self.section(question, at)
        source = f"{self.path.name}:{node.start_mark.line + 1}"
        return replace(question, planned=tuple(dict.fromkeys(planned)), section=section, source=source)

    def section(self, question: Question, at: dict[str, yaml.Node]) -> str | None:
        """The section as a number: given, and then it must exist in a written lesson, or that of the first claim."""
        lesson = self.targets.get(question.lesson, NOT_WRITTEN)
        numbers = [heading.split()[0] for heading in lesson.sections]
        if question.section is None:
            own = [e.section.split()[0] for e in question.evidence if e.section in lesson.sections]
            return own[0] if own else None
        if lesson.claims is not None and question.section not in numbers:
            raise self.error(at["section"], f"{lesson.notebook} has no section {question.section!r}; it has {numbers}")
        return question.section

    def build(self, kind: object, node: yaml.Node, name: str) -> object:
        """Turn a node into `kind`: a dataclass, str, Evidence, a Literal, a tuple of these or one of them or None."""
        if get_origin(kind) is UnionType:
            empty = node.tag == "tag:yaml.org,2002:null"
            return None if empty else self.build(next(k for k in get_args(kind) if k is not NoneType), node, name)
        if get_origin(kind) is tuple:
            return tuple(self.build(get_args(kind)[0], item, name) for item in self.items(node, name))
        if kind is Evidence:
            return self.lookup(node, find_evidence, self.scalar(node, name))
        if get_origin(kind) is Literal:
            return self.choice(node, name, get_args(kind))
        return self.scalar(node, name) if kind is str else self.record(kind, node, name)

    def record(self, kind: type, node: yaml.Node, name: str) -> object:
        """A mapping with exactly the fields of the dataclass `kind`."""
        known = {f.name: f for f in fields(kind) if not f.metadata.get("by_loader")}
        required = [key for key, f in known.items() if f.default is MISSING]
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{name} is not a mapping; it needs {', '.join(required)}")
        types, values = get_type_hints(kind), {}
        for key, value in node.value:
            if str(key.value) not in known:
                raise self.error(key, f"unknown key {key.value!r} in {name}; the keys are {', '.join(known)}")
            if key.value in values:
                raise self.error(key, f"{key.value!r} stands twice in {name}; delete one")
            values[key.value] = self.build(types[key.value], value, f"{name}.{key.value}")
        if missing := [key for key in required if key not in values]:
            what = "lacks a translation" if set(missing) <= set(LANGUAGES) else "is incomplete"
            raise self.error(node, f"{name} {what}: add {', '.join(missing)}")
        if issubclass(kind, Text) and not _HAN.search(values["zh"]):
            raise self.error(node, f"{name} lacks a translation: zh holds no Chinese character; translate it")
        return kind(**values)

    def items(self, node: yaml.Node, name: str) -> list[yaml.Node]:
        """The entries of a list that must not be empty."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.error(node, f"{name} is not a list with entries; write [a, b] or lines that start with '- '")
        return node.value

    def scalar(self, node: yaml.Node, name: str) -> str:
        """Text, with the folding of YAML's block styles undone."""
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self.error(node, f"{name} holds no text; write it, in quotes if it contains ': '")
        return node.value.strip()

    def choice(self, node: yaml.Node, name: str, allowed: tuple[str, ...]) -> str:
        """One of a few words."""
        if (value := self.scalar(node, name)) not in allowed:
            raise self.error(node, f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        return value

    def lookup(self, node: yaml.Node, find: Callable, ref: str) -> object:
        """Call find(ref, targets) and give its complaint the place in the file."""
        try:
            return find(ref, self.targets)
        except (LookupError, ValueError) as error:
            raise self.error(node, f"{error.args[0]}; correct the reference") from None

    def error(self, node: yaml.Node, message: str) -> QuestionError:
        """A QuestionError that opens with the file and the line of `node`."""
        return QuestionError(f"{self.path.name}:{node.start_mark.line + 1}: {message}")
