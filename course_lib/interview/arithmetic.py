"""Interview arithmetic in a notebook: random sums about tokens, bytes, FLOPs and seconds, judged with their units.

`arithmetic()` shows a view to practise with; with COURSE_STATIC=1 one worked example as Markdown. The problems come
from course_lib/interview/sums; in a terminal the same drill is `course arithmetic`. As in show.py the live view
replaces the text of HTML widgets and never uses an Output widget.
"""

from html import escape
from random import Random

import ipywidgets as widgets
from IPython.display import Markdown, display

from course_lib.interview.keys import ENTER
from course_lib.interview.record import LANGUAGES
from course_lib.interview.sums.families import draw_problem, families
from course_lib.interview.sums.problem import Problem
from course_lib.interview.sums.verdict import Verdict, judge_answer
from course_lib.interview.view import ROW, LiveView, block, show_view
from course_lib.lesson.live import is_static

WORDS = {
    "en": {
        "check": "Check",
        "steps": "Show steps",
        "hide": "Hide steps",
        "next": "Next",
        "score": "right at once: {right} of {tried}",
        "type": "number and unit, then Enter",
        "near": "Near misses",
        "source": "Source",
        "step": "step",
        "colon": ": ",
    },
    "zh": {
        "check": "检查",
        "steps": "显示步骤",
        "hide": "隐藏步骤",
        "next": "下一题",
        "score": "一次答对：{right} / {tried}",
        "type": "数和单位，按回车",
        "near": "容易出的错",
        "source": "来源",
        "step": "难度",
        "colon": "：",
    },
}
_GOOD, _BAD, _NEUTRAL = "#1b6e3c", "#a3261a", "#7a4a00"  # on a white ground: contrast above 6 to 1


def arithmetic(
    family: str | None = None, step: int | None = None, seed: int | None = None, language: str = "en"
) -> None:
    """Practise interview arithmetic; with COURSE_STATIC=1 show one worked example.

    family: one of families(), or None for all. step: 1 round numbers, 2 real models, 3 combined, None mixed.
    seed: the same seed draws the same problems; None draws new ones, in a built notebook always the same.
    language: "en" or "zh"; the live view can switch, a built notebook adds a Chinese block for "zh".
    """
    check_language(language)
    if not is_static():
        view = ArithmeticView(family, step, seed, language)
        show_view(view, html=view.static_html(), text=view.problem.task(language))
        return
    problem = draw_problem(family, step, Random(seed if seed is not None else 0))
    for each in dict.fromkeys(("en", language)):
        display(Markdown(as_markdown(problem, each)))


def check_language(language: str) -> None:
    """ValueError for a language the problems are not written in."""
    if language not in LANGUAGES:
        raise ValueError(f"no problems in language {language!r}; try one of {', '.join(LANGUAGES)}")


def heading(problem: Problem, language: str) -> str:
    """Name of the family and the step."""
    return f"{families()[problem.family].title[language]} · {WORDS[language]['step']} {problem.step}"


def worked_lines(problem: Problem, language: str) -> list[tuple[str, str]]:
    """What is done and the sum, for each worked step; the last is the answer in its unit."""
    lines = [(step.what[language], step.sum) for step in problem.working]
    return [*lines[:-1], (lines[-1][0], problem.said_answer(language))]


def as_markdown(problem: Problem, language: str = "en") -> str:
    """The problem with its worked steps and near misses: plain Markdown, no HTML."""
    check_language(language)
    words = WORDS[language]
    steps = "\n".join(f"1. {what}{words['colon']}`{total}`" for what, total in worked_lines(problem, language))
    slips = "\n".join(
        f"- `{problem.said(miss.value, language)}`{words['colon']}{miss.why[language]}" for miss in problem.near_misses
    )
    question = _plain_dollars(problem.task(language))
    source = f"*{words['source']}{words['colon']}{families()[problem.family].source}*"
    return "\n\n".join([f"**{heading(problem, language)}**", question, steps, f"*{words['near']}*", slips, source])


class ArithmeticView(LiveView):
    """One problem at a time with Check, Show steps and Next.

    A problem counts once: as right when its first answer that could be read is right and the steps were not shown
    before. An answer that cannot be read costs nothing and stays in the box.
    """

    def __init__(
        self, family: str | None = None, step: int | None = None, seed: int | None = None, language: str = "en"
    ) -> None:
        check_language(language)
        super().__init__(language)
        self.family, self.step, self.rng = family, step, Random(seed)
        self.right = self.tried = 0
        self.page, self.verdict_line, self.steps, self.score = (widgets.HTML() for _ in range(4))
        self.answer = self.text_box("answer", layout={"width": "18em"})
        self.check_button = widgets.Button(button_style="primary")
        self.steps_button, self.next_button = widgets.Button(), widgets.Button(icon="arrow-right")
        self.check_button.on_click(lambda _: self.attempt(self.check))
        self.steps_button.on_click(lambda _: self.attempt(self.turn))
        self.next_button.on_click(lambda _: self.attempt(self.go_on))
        entry = widgets.HBox([self.answer, self.check_button, self.steps_button, self.next_button], layout=ROW)
        bar = widgets.HBox([self.language, self.score, self.keys], layout=ROW)
        self.widget.children = [bar, self.notice, self.page, entry, self.verdict_line, self.steps]
        self.next()
        self.attempt()

    def next(self) -> None:
        """Draw another problem, with an empty box."""
        self.problem: Problem = draw_problem(self.family, self.step, self.rng)
        self.counted = self.shown = False
        self.write("answer", "")
        self.verdict: Verdict | None = None

    def go_on(self) -> None:
        """The next problem, ready to type."""
        self.next()
        self.answer.focus()

    def press_key(self, key: str) -> None:
        """Enter in the box."""
        if key == ENTER:
            self.check()

    def check(self) -> None:
        """Judge what stands in the box, for Enter and Check; a problem counts once."""
        self.verdict = judge_answer(self.problem, self.texts["answer"])
        if self.verdict.understood and not self.counted:
            self.counted = True
            self.tried += 1
            self.right += self.verdict.correct

    def turn(self) -> None:
        """Show the worked steps, or hide them; seeing them before an answer counts as a try."""
        self.shown = not self.shown
        if self.shown and not self.counted:
            self.counted = True
            self.tried += 1

    def draw(self) -> None:
        """Put the state into the widgets."""
        language = self.language.value
        words, problem = WORDS[language], self.problem
        self.page.value = block(_task(problem, language))
        self.verdict_line.value = self._said(language)
        self.steps.value = block(_steps(problem, language)) if self.shown else ""
        self.score.value = block(words["score"].format(right=self.right, tried=self.tried))
        self.answer.placeholder = self.answer.tooltip = words["type"]
        self.check_button.description = words["check"]
        self.steps_button.description = words["hide" if self.shown else "steps"]
        self.next_button.description = words["next"]

    def static_html(self) -> str:
        """What a reader without a kernel sees: the problem, its steps folded."""
        language = self.language.value
        folded = f"<details><summary>{WORDS[language]['steps']}</summary>{_steps(self.problem, language)}</details>"
        return _task(self.problem, language) + folded

    def _said(self, language: str) -> str:
        if self.verdict is None:
            return ""
        verdict = self.verdict
        colour = _GOOD if verdict.correct else _BAD if verdict.understood else _NEUTRAL
        style = f"background:#fff;color:{colour};border-left:4px solid {colour};padding:2px 8px"
        return block(f'<p style="{style}">{escape(verdict.message[language])}</p>')


def _task(problem: Problem, language: str) -> str:
    return f"<p>{escape(heading(problem, language))}</p><p><b>{escape(problem.task(language))}</b></p>"


def _steps(problem: Problem, language: str) -> str:
    lines, colon = worked_lines(problem, language), WORDS[language]["colon"]
    steps = "".join(f"<li>{escape(what)}{colon}<code>{escape(total)}</code></li>" for what, total in lines)
    source = f"{WORDS[language]['source']}{colon}{escape(families()[problem.family].source)}"
    return f"<ol>{steps}</ol><p>{source}</p>"


def _plain_dollars(text: str) -> str:
    return text.replace("$", r"\$")  # two prices in a line are no formula
