"""An answer of the bank on a page: as Markdown, as HTML, as plain text.

Each is drawn from one neutral list of blocks, so that no form leaves out what another one says.
"""

from html import escape
from typing import NamedTuple

from course_lib.interview.evidence import Evidence
from course_lib.interview.links import anchor
from course_lib.interview.record import LANGUAGES, Question

WORDS = {
    "en": {
        "screen": "screen",
        "onsite": "onsite",
        "staff": "staff",
        "answer": "60-second answer",
        "key_points": "Key points",
        "follow_ups": "Follow-ups",
        "wrong_answer": "Wrong answer",
        "exercise": "Practise it: exercise {}",
        "exercise planned": "Practise it: exercise {}, in a lesson not written yet",
        "claim": "see claim {} in section {}",
        "planned": "claim {}, in a lesson not written yet",
        "reveal": "Reveal",
        "hide": "Hide",
        "think": "Say your answer aloud, one minute, then press Reveal.",
    },
    "zh": {
        "screen": "初筛",
        "onsite": "现场",
        "staff": "资深",
        "answer": "60 秒回答",
        "key_points": "要点",
        "follow_ups": "追问",
        "wrong_answer": "常见错误回答",
        "exercise": "动手练习：{}",
        "exercise planned": "动手练习：{}，所在课程尚未完成",
        "claim": "见 {1} 节的论断 {0}",
        "planned": "论断 {}，所在课程尚未完成",
        "reveal": "显示答案",
        "hide": "隐藏答案",
        "think": "先出声回答一分钟，再按“显示答案”。",
    },
}
PARTS = ("answer", "key_points", "follow_ups", "wrong_answer")
_BADGE = {"screen": "#1b6e3c", "onsite": "#7a4a00", "staff": "#6b2b8f"}  # white text on each: contrast above 6 to 1
_TITLE = 'style="margin:1em 0 .3em;color:var(--jp-ui-font-color2);border-bottom:1px solid var(--jp-border-color2)"'
"""Style of a part's title. Not italic: Chinese has no italics, browsers slant the glyphs."""


class Line(NamedTuple):
    """One paragraph or list entry: what stands in bold, what follows, what it rests on."""

    lead: str
    text: str
    evidence: tuple[Evidence, ...] = ()


def as_markdown(question: Question, language: str = "en", *, parts: tuple[str, ...] = PARTS) -> str:
    """The question in both languages, then `parts` of its answer in `language`: plain Markdown, no HTML."""
    check_language(language)
    words, other = WORDS[language], next(each for each in LANGUAGES if each != language)
    head = f"**{question.id}** · {words[question.depth]} · **{question.question[language]}**"
    lines = [head, question.question[other]]
    for title, entries in blocks(question, language, parts):
        lines.append(f"*{title}*")
        texts = [_markdown_line(entry, language) for entry in entries]
        lines.append("\n".join(f"- {text}" for text in texts) if len(texts) > 1 else texts[0])
    if question.exercise is not None:
        lines.append(practise(question, language))
    return "\n\n".join(lines)


def as_text(question: Question, language: str = "en") -> str:
    """The whole answer for a terminal: no marks of Markdown, no addresses, formulas as they are written."""
    parts = []
    for title, entries in blocks(question, language, PARTS):
        cited = [[cite(each, language)[0] for each in entry.evidence] for entry in entries]
        texts = [
            f"{' '.join(filter(None, entry[:2]))}{in_brackets(references, language)}"
            for entry, references in zip(entries, cited, strict=True)
        ]
        parts.append("\n".join([title, *(f"  - {text}" if len(texts) > 1 else f"  {text}" for text in texts)]))
    if question.exercise is not None:
        parts.append(practise(question, language))
    return "\n\n".join(parts)


def as_html(question: Question, language: str = "en", *, revealed: bool = True) -> str:
    """The same page as HTML: the question alone, or with its whole answer."""
    check_language(language)
    asked = f"<p><b>{escape(question.question[language])}</b></p>"
    below = _answer_html(question, language) if revealed else f"<p>{WORDS[language]['think']}</p>"
    return _label_html(question, language) + asked + below


def folded_html(questions: list[Question], language: str = "en") -> str:
    """All questions one below the other, each answer folded under its question: the view of a saved lesson."""
    entries = []
    for question in questions:
        asked = f"<summary><b>{escape(question.question[language])}</b></summary>"
        answer = _answer_html(question, language)
        entries.append(f"{_label_html(question, language)}<details>{asked}{answer}</details>")
    return "".join(entries)


def _label_html(question: Question, language: str) -> str:
    badge = f'<span style="background:{_BADGE[question.depth]};color:#fff;border-radius:4px;padding:1px 8px">'
    return f"<p>{badge}{WORDS[language][question.depth]}</span> {question.id}</p>"


def _answer_html(question: Question, language: str) -> str:
    lines = []
    for title, entries in blocks(question, language, PARTS):
        texts = [_html_line(entry, language) for entry in entries]
        body = "".join(f"<li>{text}</li>" for text in texts)
        lines.append(f"<p {_TITLE}>{title}</p>" + (f"<ul>{body}</ul>" if len(texts) > 1 else f"<p>{texts[0]}</p>"))
    if question.exercise is not None:
        lines.append(f"<p>{escape(practise(question, language))}</p>")
    return "".join(lines)


def practise(question: Question, language: str) -> str:
    """The line that names the question's exercise; one of a lesson that is not written yet is marked."""
    planned = question.exercise in question.planned
    return WORDS[language]["exercise planned" if planned else "exercise"].format(question.exercise)


def blocks(question: Question, language: str, parts: tuple[str, ...]) -> list[tuple[str, list[Line]]]:
    """Title and lines of each part of the answer, in the order of `parts`."""
    wrong = question.wrong_answers
    lines = {
        "answer": [Line("", question.answer[language])],
        "key_points": [Line("", point[language], point.evidence) for point in question.key_points],
        "follow_ups": [Line(each.question[language], each.answer[language]) for each in question.follow_ups],
        "wrong_answer": [Line(f"“{each.statement[language]}”", each.why[language], each.evidence) for each in wrong],
    }
    if unknown := [part for part in parts if part not in lines]:
        raise ValueError(f"no part {unknown} of an answer; there are {', '.join(lines)}")
    return [(WORDS[language][part], lines[part]) for part in parts]


def cite(evidence: Evidence, language: str) -> tuple[str, str | None]:
    """What a reader sees of a reference, and its link; None for a claim of a lesson that is not written yet."""
    words = WORDS[language]
    if evidence.planned:
        return words["planned"].format(evidence.ref), None
    if evidence.is_claim and evidence.section:
        return words["claim"].format(evidence.ref, evidence.section.split()[0]), evidence.url
    return evidence.ref.partition(" <")[0], evidence.url


def in_brackets(references: list[str], language: str) -> str:
    """What a line rests on, to put behind it; empty for nothing."""
    if not references:
        return ""
    return f"（{'；'.join(references)}）" if language == "zh" else f" ({'; '.join(references)})"


def _markdown_line(line: Line, language: str) -> str:
    lead = f"**{line.lead}** " if line.lead else ""
    cited = [cite(evidence, language) for evidence in line.evidence]
    links = [f"[{label}]({url})" if url else label for label, url in cited]
    return f"{lead}{line.text}{in_brackets(links, language)}"


def _html_line(line: Line, language: str) -> str:
    lead = f"<b>{escape(line.lead)}</b> " if line.lead else ""
    cited = [cite(evidence, language) for evidence in line.evidence]
    links = [anchor(label, url) if url else escape(label) for label, url in cited]
    return f"{lead}{escape(line.text)}{in_brackets(links, language)}"


def check_language(language: str) -> None:
    """ValueError that lists the languages of the bank, unless `language` is one of them."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not in the bank; try one of {', '.join(LANGUAGES)}")
