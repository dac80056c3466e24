"""A quiz over the gallery: look at a curve, choose a diagnosis, read what gives it away and what to run first."""

import html
from collections.abc import Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt

from course_lib.clinic.curves import Curves
from course_lib.clinic.gallery import GALLERY, Diagnosis, draw_curves
from course_lib.lesson.figures import quick_png
from course_lib.lesson.live import is_static, publish
from course_lib.lesson.picture import figure_html


def curve_quiz(trained: Sequence[Curves]) -> None:
    """Show the quiz; with COURSE_STATIC=1 one line that says what it is.

    trained: the lines of every picture, in the order of GALLERY.
    """
    if len(trained) != len(GALLERY):
        raise ValueError(f"{len(trained)} curves came, the gallery has {len(GALLERY)}; give one for each, in its order")
    what = f"quiz: {len(GALLERY)} curves, a diagnosis each"
    if is_static():
        print(f"{what}; live in JupyterLab")
        return
    quiz = CurveQuiz(trained)
    publish(quiz.view, html=f"<p>{what}</p>{quiz.picture.value}", text=what)


class CurveQuiz:
    """One curve at a time; the first answer to each counts."""

    def __init__(self, trained: Sequence[Curves]) -> None:
        self.trained = trained
        self.first: dict[int, bool] = {}
        names = sorted(each.name for each in GALLERY)
        self.picture = widgets.HTML()
        self.curve = widgets.Dropdown(options=range(1, len(GALLERY) + 1), description="curve")
        self.choice = widgets.Dropdown(options=["choose ...", *names], description="diagnosis")
        self.feedback = widgets.HTML()
        self.curve.observe(self._show, "value")
        self.choice.observe(self._answer, "value")
        self.view = widgets.VBox([widgets.HBox([self.curve, self.choice]), self.picture, self.feedback])
        self._show(None)

    @property
    def asked(self) -> Diagnosis:
        """The diagnosis of the curve that is shown."""
        return GALLERY[self.curve.value - 1]

    @property
    def score(self) -> str:
        """Right at the first try, of those tried."""
        return f"{sum(self.first.values())} of {len(self.first)} right at the first try"

    def _show(self, _change: object) -> None:
        fig, ax = plt.subplots(figsize=(5.4, 2.8), layout="constrained")
        draw_curves(self.trained[self.curve.value - 1], ax, f"curve {self.curve.value}")
        ax.set(xlabel="step", ylabel="loss")
        lines = " and ".join(self.trained[self.curve.value - 1])
        self.picture.value = figure_html(quick_png(fig), f"Curve {self.curve.value}: {lines} loss over the steps.")
        self.choice.value, self.feedback.value = self.choice.options[0], ""

    def _answer(self, _change: object) -> None:
        if self.choice.value == self.choice.options[0]:
            return
        right = self.choice.value == self.asked.name
        self.first.setdefault(self.curve.value, right)
        words = f"Yes. {self.asked.tell} First check: {self.asked.first_check}" if right else self._advice()
        self.feedback.value = f"<p>{html.escape(words)}</p><p>{self.score}</p>"

    def _advice(self) -> str:
        """What would be seen if the chosen diagnosis were right; not what it is."""
        chosen = next(each for each in GALLERY if each.name == self.choice.value)
        return f"Not this one. With '{chosen.name}' one sees: {chosen.tell}"
