"""What stands on an Anki card: a whole question with its answer, or one of its key points. Formulas are for MathJax.

A note is recognised by its guid, made of the question's id (and of the number of the key point), and models have fixed
ids, so that importing a newer package updates texts and keeps every review (Anki matches notes by guid, see
https://docs.ankiweb.net/importing/packaged-decks.html). That also holds between packages in different languages.
"""

from collections.abc import Iterator
from html import escape

import genanki

from course_lib.interview.answer import blocks
from course_lib.interview.page import line_html, parts_html, text_html, titles
from course_lib.interview.record import Question

COURSE = "Every Answer Runs"
LANGUAGES = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}
"""What can be chosen, to the languages on a card. The first fills the fields Question, Answer, Point, Before."""
KINDS = ("questions", "points")
FIELDS = ("Question", "问题", "Answer", "回答", "Id", "Depth")
POINT_FIELDS = ("Question", "问题", "Before", "之前", "Point", "要点", "Id", "Depth", "Place")
_ASKED = '<p><b>{{Question}}</b></p>{{#问题}}<p lang="zh-Hans">{{问题}}</p>{{/问题}}'
_CSS = """
.card { font-family: sans-serif; font-size: 17px; line-height: 1.5; text-align: left; max-width: 46em; margin: auto; }
.id, .proof, h4 { color: #777; font-size: 80%; font-weight: normal; margin: 0.8em 0 0.2em; }
.proof a { color: inherit; }
"""


def _model(id: int, name: str, fields: tuple[str, ...], front: str, back: str) -> genanki.Model:
    template = {"name": "Question", "qfmt": front, "afmt": f'{{{{FrontSide}}}}<hr id="answer">{back}'}
    return genanki.Model(id, name, fields=[{"name": each} for each in fields], templates=[template], css=_CSS)


MODEL = _model(
    1607392319,  # never change it: Anki would take every note for a new one
    COURSE,
    FIELDS,
    '<p class="id">{{Id}} · {{Depth}}</p>' + _ASKED,
    '{{Answer}}{{#回答}}<hr><div lang="zh-Hans">{{回答}}</div>{{/回答}}',
)
POINT_MODEL = _model(
    1607392320,  # nor this one
    f"{COURSE}: key points",
    POINT_FIELDS,
    f'<p class="id">{{{{Id}}}} · {{{{Depth}}}}</p>{_ASKED}{{{{Before}}}}'
    '{{#之前}}<div lang="zh-Hans">{{之前}}</div>{{/之前}}<p>{{Place}} …</p>',
    '{{Point}}{{#要点}}<div lang="zh-Hans">{{要点}}</div>{{/要点}}',
)


def notes_of(question: Question, language: str, kind: str) -> Iterator[genanki.Note]:
    """One note with the whole answer, or one a key point. language: of LANGUAGES. kind: of KINDS.

    A key point is asked for with the points before it in view, so that there is one answer.
    """
    own = [tag.replace(" ", "-") for tag in question.tags]  # a space would end the tag
    tags = [f"lesson-{question.lesson}", question.depth, *own]
    asked = _both([text_html(question.question[each], mathjax) for each in LANGUAGES[language]], language)
    if kind == "questions":
        answer = _both([_answer(question, each) for each in LANGUAGES[language]], language)
        fields = [*asked, *answer, question.id, question.depth]
        yield genanki.Note(model=MODEL, fields=fields, guid=guid(question.id), tags=tags)
        return
    points = [_points(question, each) for each in LANGUAGES[language]]
    for number, said in enumerate(zip(*points, strict=True), 1):
        before = _both([_list(each[: number - 1]) for each in points], language)
        place = f"{number} / {len(points[0])}"
        fields = [*asked, *before, *_both([f"<p>{each}</p>" for each in said], language)]
        fields += [question.id, question.depth, place]
        yield genanki.Note(model=POINT_MODEL, fields=fields, guid=guid(question.id, number), tags=[*tags, "key-point"])


def mathjax(tex: str) -> str:
    """A formula as Anki wants it: between \\( and \\), with <, > and & escaped."""
    return rf"\({escape(tex, quote=False)}\)"


def guid(question: str, point: int | None = None) -> str:
    """The id by which Anki recognises a note, made of the question's id and the number of the key point alone."""
    return genanki.guid_for(COURSE, question) if point is None else genanki.guid_for(COURSE, question, "point", point)


def _both(texts: list[str], language: str) -> list[str]:
    """Two fields: the text of each language, or of the only one and nothing."""
    if language == "zh" and texts[0]:  # which of its glyphs a Han character gets depends on the language
        tag = "div" if texts[0].startswith("<") else "span"
        texts = [f'<{tag} lang="zh-Hans">{texts[0]}</{tag}>']
    return (texts + [""])[:2]


def _answer(question: Question, language: str) -> str:
    named = titles(language)
    return "".join(f"<h4>{named[part]}</h4>{html}" for part, html in parts_html(question, language, mathjax).items())


def _points(question: Question, language: str) -> list[str]:
    ((_, lines),) = blocks(question, language, ("key_points",))
    return [line_html(line, language, mathjax) for line in lines]


def _list(points: list[str]) -> str:
    return "<ol>" + "".join(f"<li>{each}</li>" for each in points) + "</ol>" if points else ""
