import ast
import gc

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from course_lib.lesson.explore import _step, explore
from course_lib.lesson.live import WIDGET
from course_lib.lesson.syllabus import load_lessons


def draw(height=1.0, bars=3, colour="C0", grid=False):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar(range(bars), [height] * bars, color=colour)
    ax.set_ylim(0, 2)
    ax.grid(grid)
    return fig, ax


@pytest.fixture
def live(monkeypatch):
    """`explore` outside a built notebook; gives back the view that it shows."""
    published = []
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr("course_lib.lesson.explore.publish", lambda view, **static: published.append(view))

    def show(**controls):
        assert explore(draw, alt="bars", **controls) is None  # or Jupyter would show it twice in a last line
        return published.pop()

    return show


def picture(view):
    return view.children[-2].value


def test_moving_a_slider_changes_the_picture_and_back(live):
    view = live(height=(0.0, 2.0))
    first = picture(view)
    view.children[0].value = 2.0
    second = picture(view)
    view.children[0].value = 1.0
    assert first != second and picture(view) == first


def test_an_explorer_shows_itself_wherever_it_stands_in_a_cell(monkeypatch):
    """Not only in the last line, and there not twice: it returns nothing that Jupyter could show."""
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    assert explore(draw, alt="bars", height=(0.0, 2.0)) is None
    assert WIDGET in shown[0] and '<img alt="bars" ' in shown[0]["text/html"] and len(shown) == 1


def test_each_kind_of_control(live):
    view = live(height=(0.0, 2.0), bars=(1, 5), colour=["C0", "C1"], grid=True)
    kinds = [widgets.FloatSlider, widgets.IntSlider, widgets.Dropdown, widgets.Checkbox]
    assert [type(child) for child in view.children[:4]] == kinds
    assert [child.value for child in view.children[:4]] == [1.0, 3, "C0", False]  # where draw's defaults are


@pytest.mark.parametrize(
    ("low", "high", "value", "step"), [(0.1, 5.0, 1.0, 0.05), (0.0, 0.8, 0.3, 0.01), (1.0, 100.0, 14.3, 0.1)]
)
def test_the_default_lies_on_a_step(low, high, value, step):
    assert _step(low, high, value) == pytest.approx(step)


def test_no_output_widget_anywhere(live):
    assert not any(isinstance(child, widgets.Output) for child in live(bars=(1, 5)).children)


def test_an_error_is_shown_and_the_last_picture_stays(live, monkeypatch):
    view = live(bars=(-2, 5))
    before = picture(view)
    monkeypatch.setattr("course_lib.lesson.explore.quick_png", lambda fig: 1 / 0)
    view.children[0].value = 4
    assert picture(view) == before and "ZeroDivisionError" in view.children[-1].value


def test_static_prints_where_it_was_drawn_and_leaves_no_widgets(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATIC", "1")
    assert explore(draw, alt="bars", height=(0.0, 2.0), bars=(1, 5)) is None
    assert capsys.readouterr().out.startswith("explorer at height=1.0, bars=3; live in JupyterLab\n")


def test_every_picture_has_its_words_and_the_caption_shows_them(live):
    view = live(height=(0.0, 2.0))
    for value in (1.0, 2.0):
        view.children[0].value = value
        assert '<img alt="bars" ' in picture(view) and "<small>bars</small></figcaption>" in picture(view)


def test_a_redraw_never_collects_the_garbage_of_the_whole_kernel(live):
    """With PyTorch loaded that takes 600 ms, and a drag stops for it every 20 pictures."""
    view, collected = live(height=(0.0, 2.0)), []
    gc.callbacks.append(note := lambda phase, about: phase == "start" and collected.append(about["generation"]))
    try:
        for step in range(30):
            view.children[0].value = 0.05 * step
    finally:
        gc.callbacks.remove(note)
    assert collected.count(1) >= 29 and 2 not in collected
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"width": (0, 1)}, r"draw has no argument \['width'\]; it takes"),
        ({"height": (2.0, 0.0)}, "low < high"),
        ({"height": 3.0}, "low, high"),
    ],
)
def test_bad_controls_are_refused(live, controls, message):
    with pytest.raises(ValueError, match=message):
        live(**controls)


def test_an_argument_without_default_is_refused():
    with pytest.raises(ValueError, match=r"no default for \['bars'\]"):
        explore(lambda bars: None, alt="bars", bars=(1, 5))


def calls(lesson):
    """Each call of `explore` in a lesson's source, and whether it is a statement of its own in a cell."""
    tree = ast.parse(lesson.source.read_text(encoding="utf-8"))
    shown = {id(line.value) for line in tree.body if isinstance(line, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "explore":
            yield node, id(node) in shown


@pytest.mark.parametrize("lesson", [each for each in load_lessons() if each.built], ids=lambda each: each.number)
def test_lessons_let_explorers_show_themselves(lesson):
    """Wherever in a cell: nothing is assigned, returned, or left to the last line."""
    found = list(calls(lesson))
    assert found and all(stands_alone for _, stands_alone in found)
    for call, _ in found:
        assert {"alt"} < {keyword.arg for keyword in call.keywords}
