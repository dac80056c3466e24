"""Every live view of every lesson is made, with the static form that stands in for it in a saved notebook.

Here those whose arguments stand in the lesson: bets, questions, drill, mock, arithmetic. Explorers need the lesson's
data and are tried where those are (rehearsal.py).
"""

import ast
import importlib
import inspect
import re

import pytest

from course_lib.lesson.live import NOTE, WIDGET
from course_lib.lesson.syllabus import load_lessons

BUILT = [lesson for lesson in load_lessons() if lesson.built]
MAKERS = ("publish(", "show_view(")
"""A function that calls one of them shows a live view."""


def imported(tree):
    """(name in a lesson, the object of course_lib that it stands for)."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("course_lib"):
            module = importlib.import_module(node.module)
            yield from ((each.asname or each.name, getattr(module, each.name, None)) for each in node.names)


def shows_a_view(function):
    return inspect.isfunction(function) and any(maker in inspect.getsource(function) for maker in MAKERS)


def calls():
    """(lesson, function, call) for each line of a lesson that shows a live view."""
    for lesson in BUILT:
        tree = ast.parse(lesson.source.read_text(encoding="utf-8"))
        views = {name: each for name, each in imported(tree) if shows_a_view(each)}
        for line in tree.body:
            if (
                isinstance(line, ast.Expr)
                and isinstance(line.value, ast.Call)
                and ast.unparse(line.value.func) in views
            ):
                yield lesson, views[ast.unparse(line.value.func)], line.value


CALLS = list(calls())
SIMPLE = [each for each in CALLS if each[1].__name__ != "explore"]


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What a learner's notebook gets, in order."""
    outputs = []
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr("IPython.display.display", lambda data, **_: outputs.append(data))
    return outputs


@pytest.mark.parametrize(
    ("lesson", "function", "call"),
    SIMPLE,
    ids=[f"{lesson.number} {ast.unparse(call)[:40]}" for lesson, _, call in SIMPLE],
)
def test_a_view_has_a_static_form(shown, lesson, function, call):
    function(*map(ast.literal_eval, call.args), **{each.arg: ast.literal_eval(each.value) for each in call.keywords})
    (output,) = shown
    assert output[WIDGET]["model_id"]
    html = output["text/html"]
    assert len(re.sub("<[^>]*>", "", html)) > len(NOTE) + 40 and html.endswith(f"{NOTE}</small></p>")
    assert all(re.search(r'\balt="[^"]+"', image) for image in re.findall("<img[^>]*>", html))
    assert "VBox(" not in output["text/plain"]


@pytest.mark.parametrize("lesson", BUILT, ids=lambda lesson: lesson.number)
def test_every_lesson_has_views_of_its_own(lesson):
    """Or the walk above has stopped to see them."""
    names = {function.__name__ for owner, function, _ in CALLS if owner == lesson}
    assert names >= (
        {"explore", "bet", "drill", "arithmetic", "mock"} if lesson.number == "00" else {"explore", "show_questions"}
    )
