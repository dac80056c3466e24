"""The glossary: what a term means, in English and Chinese, found under any of its names and despite small slips."""

import csv
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from IPython.display import Markdown, display

from course_lib.interview.questions import ROOT
from course_lib.interview.record import Text
from course_lib.lesson.syllabus import load_lessons

NEAR = 5  # suggestions for a name that is not there


@dataclass(frozen=True)
class Term:
    """One row of datasets/glossary.csv."""

    term: str
    """The name the course uses."""
    zh: str
    definition: Text
    lesson: str
    """Two digits of the lesson that teaches it."""
    aliases: tuple[str, ...] = ()
    """Other names, abbreviations written out among them, in either language."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it is found under."""
        return (self.term, self.zh, *self.aliases)


def load_glossary(root: Path = ROOT) -> list[Term]:
    """All terms, in the order of the file."""
    with (root / "datasets" / "glossary.csv").open(encoding="utf-8", newline="") as file:
        return [_term(row) for row in csv.DictReader(file)]


def find_term(name: str, *, root: Path = ROOT) -> Term:
    """The term of that name, in English or Chinese; capitals, hyphens and spaces do not matter.

    Raises LookupError with near names when there is none.
    """
    terms = load_glossary(root)
    known = {_key(each): term for term in reversed(terms) for each in term.names}
    if _key(name) in known:
        return known[_key(name)]
    near = suggest(name, terms)
    advice = f"near: {', '.join(near)}" if near else f"the glossary has {len(terms)} terms; try another word for it"
    raise LookupError(f"no term {name!r}; {advice}")


def suggest(name: str, terms: list[Term]) -> list[str]:
    """Terms whose name is close to a mistyped one, or contains it, the closest first."""
    keys: dict[str, str] = {}
    for term in terms:
        for each in term.names:
            keys.setdefault(_key(each), term.term)
    wanted = _key(name)
    parts = {_key(name): _parts(name) for term in terms for name in term.names}
    holding = [key for key in keys if wanted and any(part.startswith(wanted) for part in parts[key])]
    close = difflib.get_close_matches(wanted, keys, n=NEAR, cutoff=0.7)
    return list(dict.fromkeys(keys[key] for key in [*close, *sorted(holding, key=len)]))[:NEAR]


def term(name: str) -> None:
    """Show a term in a notebook: both names, both definitions, its lesson; near names when it is mistyped."""
    try:
        found = find_term(name)
    except LookupError as error:
        print(error.args[0])
        return
    display(Markdown(as_markdown(found)))


def as_markdown(term: Term) -> str:
    """The term as plain Markdown, the same on every machine."""
    also = f" (also: {', '.join(term.aliases)})" if term.aliases else ""
    planned = "" if _is_built(term.lesson) else " (planned)"
    head = f"**{term.term}** · **{term.zh}** · lesson {term.lesson}{planned}{also}"
    return f"{head}\n\n{term.definition.en}\n\n{term.definition.zh}"


def _is_built(number: str) -> bool:
    return any(lesson.built for lesson in load_lessons() if lesson.number == number)


def _term(row: dict[str, str]) -> Term:
    aliases = tuple(each.strip() for each in row["aliases"].split(";") if each.strip())
    return Term(row["term"], row["zh"], Text(row["definition"], row["definition_zh"]), row["lesson"], aliases)


def _parts(name: str) -> list[str]:
    """The key of a name from each of its words on; every Han character may begin a word."""
    return [_key(name[found.start() :]) for found in re.finditer(r"(?<![^\W_])\w|[\u4e00-\u9fff]", name)]


def _key(name: str) -> str:
    return re.sub(r"[\s\-–—_]+", "", name).casefold()
