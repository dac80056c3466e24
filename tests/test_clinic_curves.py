"""Every curve of the gallery is really trained, and shows its signature and no other over three seeds."""

import math

import pytest
import torch

from course_lib.clinic.curves import CHANCE, Task, descend, network
from course_lib.clinic.gallery import GALLERY, draw_curves, draw_gallery, stays
from course_lib.clinic.quiz import CurveQuiz, curve_quiz
from course_lib.lesson.live import WIDGET

BY_NAME = {each.name: each for each in GALLERY}


@pytest.fixture(scope="module")
def trained():
    return [each.make(0) for each in GALLERY]


@pytest.mark.parametrize("each", GALLERY, ids=lambda each: each.name)
def test_the_signature_holds_over_seeds_and_no_other_fits(each, trained):
    """Others are those with lines of the same names. Without warm-up seed 12 starts far above ln 12."""
    named = {o.name: set(lines) for o, lines in zip(GALLERY, trained, strict=True)}
    for seed in (0, 1, 2, 12):
        lines = each.make(seed)
        fitting = [o.name for o in GALLERY if named[o.name] == set(lines) and o.signature(lines)]
        assert fitting == [each.name], f"seed {seed}"


def test_a_run_is_the_same_again_and_another_seed_another(trained):
    healthy = BY_NAME["healthy"]
    assert healthy.make(0) == trained[0] != healthy.make(1)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    BY_NAME["no warm-up"].make(0)
    assert torch.equal(torch.get_rng_state(), state), "the caller's generator is left alone"


def test_the_floor_of_softmax_twice_is_the_formula():
    perfect = torch.eye(10)
    floor = torch.nn.functional.cross_entropy(perfect, torch.arange(10)).item()
    assert math.isclose(floor, math.log(math.e + 9) - 1, rel_tol=1e-6)
    assert stays([floor] * 60, math.log(math.e + 9) - 1, 1e-6)


def test_a_repaired_run_loses_the_signature():
    task = Task(0)
    shuffled = descend(network(0), lambda _: task.batch(32))
    assert not BY_NAME["data not shuffled"].signature(shuffled)
    assert abs(shuffled["training"][0] - CHANCE) < 0.3
    task = Task(0)
    reset = descend(network(0), lambda _: task.batch(), rule=torch.optim.SGD, rate=0.1)
    assert not BY_NAME["gradients not reset"].signature(reset)


def test_figures_have_a_picture_each_and_mark_the_end(trained):
    fig, axes = draw_gallery(trained)
    assert [ax.get_title("left") for ax in axes] == [str(k) for k in range(1, len(GALLERY) + 1)]
    end = axes[[each.name for each in GALLERY].index("overflow in fp16")].lines
    assert sum(line.get_marker() == "x" for line in end) == 1


def test_no_legend_of_the_gallery_lies_over_a_line_and_all_can_be_read(trained):
    fig, axes = draw_gallery(trained)
    fig.canvas.draw()
    legends = [(ax, ax.get_legend()) for ax, lines in zip(axes, trained, strict=True) if len(lines) > 1]
    assert len(legends) == sum(len(lines) > 1 for lines in trained)
    for ax, legend in legends:
        box = legend.get_window_extent()
        assert box.y0 > ax.get_window_extent().y1 - 3 and box.x1 < fig.bbox.x1 + 1, ax.get_title("left")
        assert box.x0 > ax.get_window_extent().x0 + 8, "beside the number"
        assert all(text.get_fontsize() >= 8 for text in legend.get_texts())


def test_draw_curves_cuts_at_the_top():
    import matplotlib.pyplot as plt

    ax = draw_curves({"training": [1.0, 100.0, float("nan")]}, plt.subplots()[1])
    assert ax.get_ylim()[1] == 6.0 and max(ax.lines[0].get_ydata()[:2]) == 6.0
    plt.close("all")


def test_quiz_shows_itself_with_a_picture_that_has_words(trained, monkeypatch):
    """In a saved notebook too, where no widget is left; it returns nothing that Jupyter would show a second time."""
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    assert curve_quiz(trained) is None
    assert WIDGET in shown[0] and '<img alt="Curve 1: ' in shown[0]["text/html"] and len(shown) == 1


def test_quiz_scores_the_first_answer_and_explains(trained):
    quiz = CurveQuiz(trained)
    before = quiz.picture.value
    quiz.choice.value = "overfitting"
    assert "Not this one" in quiz.feedback.value and "validation turns" in quiz.feedback.value
    assert "0 of 1 right" in quiz.feedback.value
    quiz.choice.value = "healthy"
    assert "Yes." in quiz.feedback.value and "0 of 1 right" in quiz.feedback.value
    quiz.curve.value = 6
    assert quiz.picture.value != before and quiz.feedback.value == "" and quiz.choice.value == "choose ..."
    quiz.choice.value = "softmax twice"
    assert "1 of 2 right at the first try" in quiz.feedback.value


def test_quiz_is_one_line_in_a_built_notebook(trained, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATIC", "1")
    assert curve_quiz(trained) is None
    assert capsys.readouterr().out == "quiz: 15 curves, a diagnosis each; live in JupyterLab\n"
    with pytest.raises(ValueError, match="2 curves came, the gallery has 15"):
        curve_quiz(trained[:2])
