"""What the learner wrote in a mock interview: answers to sums, code, project notes; handed in, or put down only."""

from typing import NamedTuple

from course_lib.interview.rounds.project import FIELDS, field
from course_lib.interview.rounds.state import FORM, Fact, Node, State
from course_lib.interview.rounds.words import REPORT_WORDS


class Written(NamedTuple):
    """One piece of it."""

    node: Node
    note: str
    """What the checker said to it, or whether it was handed in."""
    text: str
    """As it stands; empty for code that Python did not know the source of."""


def written(state: State, language: str) -> list[Written]:
    """All of it, in the order asked."""
    words, found = REPORT_WORDS[language], []
    for node, fact in state.facts.items():
        handed_in, put_down = _form(state, language) if node == FORM else _judged(node, fact, language)
        found += [Written(node, note, text) for note, text in handed_in]
        if put_down and put_down not in [text for _, text in handed_in]:
            found.append(Written(node, words["put_down"], put_down))
    return found


def _judged(node: Node, fact: Fact, language: str) -> tuple[list[tuple[str, str]], str]:
    """Every answer to a sum; of the code the run that counts, of equals the last."""
    tries, kind = fact.tries, "code" if node.step == "code" else "text"
    if node.step == "code":
        best = max(tries, key=lambda each: (each["mark"], tries.index(each)), default=None)
        handed_in = [(best["line"], best.get("code", ""))] if best else []
    else:
        handed_in = [(each["message"][language == "zh"], each["text"]) for each in tries]
    return handed_in, fact.draft.get(kind, "").strip()


def _form(state: State, language: str) -> tuple[list[tuple[str, str]], str]:
    draft = _lines(state.facts[FORM].draft, language)
    if state.form is None or "what" not in state.form:
        return [], draft
    return [(REPORT_WORDS[language]["handed_in"], _lines(state.form, language))], draft


def _lines(form: dict[str, str], language: str) -> str:
    colon = "：" if language == "zh" else ": "
    filled = [name for name in FIELDS if form.get(name, "").strip()]
    return "\n".join(f"{field(name)[0][language]}{colon}{form[name].strip()}" for name in filled)
