"""Questions in a notebook: think first, then reveal the 60-second answer and what it rests on.

A built notebook gets Markdown. The live view replaces the text of one HTML widget and never uses an Output widget, so
what a strict comparison of the notebook sees does not depend on what the reader clicked.
"""

import ipywidgets as widgets
from IPython.display import Markdown, display

from course_lib.interview.answer import WORDS, as_html, as_markdown, check_language, folded_html
from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS, LANGUAGES, Question
from course_lib.lesson.live import is_static, publish


def show_questions(lesson: str, language: str = "en") -> None:
    """Show a lesson's questions, from screen to staff: a view to practise with, or Markdown with COURSE_STATIC=1.

    lesson: two digits, "07". language: "en" or "zh"; the live view can switch, a built notebook shows English and adds
    the Chinese answers as a second block for "zh".
    """
    questions = sorted(load_questions(lesson), key=lambda question: DEPTHS.index(question.depth))
    check_language(language)
    if not is_static():
        publish(QuestionView(questions, language).widget, html=folded_html(questions, language))
        return
    for each in dict.fromkeys(("en", language)):
        display(Markdown("\n\n---\n\n".join(as_markdown(question, each) for question in questions)))


class QuestionView:
    """One question at a time, with Reveal, Previous, Next and a language switch; `widget` is what to display."""

    def __init__(self, questions: list[Question], language: str = "en") -> None:
        check_language(language)
        self.questions, self.index, self.revealed = questions, 0, False
        self.page = widgets.HTMLMath()
        self.position = widgets.HTML()
        self.previous = widgets.Button(icon="arrow-left", tooltip="previous question", layout={"width": "3em"})
        self.next = widgets.Button(icon="arrow-right", tooltip="next question", layout={"width": "3em"})
        self.reveal = widgets.Button(button_style="primary")
        options = [(name, code) for code, name in LANGUAGES.items()]
        self.language = widgets.ToggleButtons(options=options, value=language, style={"button_width": "6em"})
        self.previous.on_click(lambda _: self.go_to(self.index - 1))
        self.next.on_click(lambda _: self.go_to(self.index + 1))
        self.reveal.on_click(lambda _: self.turn())
        self.language.observe(lambda _: self.draw(), "value")
        parts = [
            self.previous,
            self.position,
            self.next,
            self.reveal,
            self.language,
        ]  # above the answer, so it stays put
        bar = widgets.HBox(parts, layout={"align_items": "center"})
        self.widget = widgets.VBox([bar, self.page])
        self.draw()

    def go_to(self, index: int) -> None:
        """Turn to another question, its answer hidden; the first and the last stay where they are."""
        self.index, self.revealed = min(max(index, 0), len(self.questions) - 1), False
        self.draw()

    def turn(self) -> None:
        """Show the answer, or hide it again."""
        self.revealed = not self.revealed
        self.draw()

    def draw(self) -> None:
        """Put the state into the widgets."""
        language = self.language.value
        page = as_html(self.questions[self.index], language, revealed=self.revealed)
        self.page.value = f'<div style="font-size:var(--jp-content-font-size1);line-height:1.6">{page}</div>'
        self.position.value = f"{self.index + 1} / {len(self.questions)}"
        self.reveal.description = WORDS[language]["hide" if self.revealed else "reveal"]
        self.previous.disabled = self.index == 0
        self.next.disabled = self.index == len(self.questions) - 1
