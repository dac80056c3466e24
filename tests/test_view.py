"""What the live views of the interview share: errors stay in the view, one view a cell, text that outlives a page."""

import shutil
import subprocess

import pytest

from course_lib.interview import view as module
from course_lib.interview.drill import DrillView
from course_lib.interview.keys import ENTER, Keys
from course_lib.interview.stopwatch import Stopwatch
from course_lib.interview.view import LiveView, show_view
from course_lib.lesson.live import WIDGET


class Counter(LiveView):
    """Counts; refuses 3, breaks at 4."""

    reports = (LookupError,)

    def __init__(self, language="en"):
        super().__init__(language)
        self.count, self.drawn = 0, 0
        self.box = self.text_box("name")
        self.kept = []
        self.button = module.widgets.Button()
        self.button.on_click(lambda _: self.attempt(self.add))
        self.widget.children = [self.button, self.notice, self.box]

    def add(self):
        self.count += 1
        if self.count == 3:
            raise LookupError("three is <taken>")
        if self.count == 4:
            raise ZeroDivisionError("four")
        if self.count == 5:
            raise KeyboardInterrupt
        if self.count == 6:
            raise SystemExit(1)

    def press_key(self, key):
        self.add()

    def put_down(self):
        self.kept.append(self.texts["name"])

    def draw(self):
        self.drawn += 1
        if self.count == 7:
            raise RuntimeError("cannot draw")


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel, of which only the request that runs is looked at."""

    class Shell:
        parent = {}

        def get_parent(self):
            return self.parent

        def run(self, cell, request):
            self.parent = {"metadata": {"cellId": cell} if cell else {}, "header": {"msg_id": request}}

    shell = Shell()
    monkeypatch.setattr(module, "get_ipython", lambda: shell)
    monkeypatch.setattr(module, "_shown", {})
    monkeypatch.setattr(module, "publish", lambda widget, **_: None)
    return shell


def show(view):
    show_view(view, html="<p>x</p>", text="x")
    return view


def test_whatever_fails_in_a_callback_is_said_in_the_view_and_nowhere_else(capsys):
    view = Counter()
    said = []
    for _ in range(8):
        view.button.click()
        said.append(view.notice.value)
    assert said[0] == said[1] == said[7] == ""
    assert "three is &lt;taken&gt;" in said[2] and "LookupError" not in said[2]
    assert "ZeroDivisionError: four" in said[3] and "Interrupted" in said[4] and "SystemExit" in said[5]
    assert "RuntimeError: cannot draw" in said[6]
    assert view.count == 8 and capsys.readouterr() == ("", "")


def test_an_error_is_in_the_language_of_the_view(capsys):
    view = Counter("zh")
    view.count = 3
    view.button.click()
    assert "操作失败：ZeroDivisionError" in view.notice.value


def test_a_cell_that_is_run_again_ends_its_old_view(kernel):
    kernel.run("a", "1")
    first, beside = show(Counter()), show(Counter())  # two views in one cell live together
    kernel.run("b", "2")
    other = show(Counter())
    kernel.run("a", "3")
    again = show(Counter("zh"))
    for over in (first, beside):
        over.button.click()
        over.keys._handle_custom_msg({"key": "1"}, [])
        assert over.count == 0 and over.over and "its cell was run again" in over.widget.children[0].value
    for alive in (other, again):
        alive.button.click()
        assert alive.count == 1


def test_outside_a_notebook_nothing_is_retired(kernel, monkeypatch):
    kernel.run(None, "1")
    views = [show(Counter()), show(Counter())]
    monkeypatch.setattr(module, "get_ipython", lambda: None)
    views.append(show(Counter()))
    assert not any(view.over for view in views)


def test_a_view_is_published_with_its_static_form(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    view = Counter()
    show_view(view, html="<p>the question</p>", text="the question")
    assert shown[0][WIDGET]["model_id"] == view.widget.model_id and "<p>the question</p>" in shown[0]["text/html"]


def test_text_is_taken_as_it_is_typed_and_put_back_on_another_page():
    view = Counter()
    for text in ("a", "ab", "ab"):
        view.keys._handle_custom_msg({"typed": "name", "text": text}, [])
    assert view.kept == ["a", "ab"] and view.box.value == "" and view.drawn == 0  # nothing moves under the hand
    view.keys._handle_custom_msg({"shown": True}, [])
    assert view.box.value == "ab" and view.kept == ["a", "ab"]
    view.box.value = "abc"  # the box is left
    view.write("name", "")  # by the program
    assert view.kept == ["a", "ab", "abc"] and view.texts["name"] == ""


def test_messages_that_are_none_of_ours_do_nothing():
    heard = []
    keys = Keys(heard.append, lambda *each: heard.append(each), lambda: heard.append("shown"))
    for content in ({}, {"key": 1}, {"typed": "x"}, {"shown": False}, {"key": ENTER}, {"typed": "x", "text": "y"}):
        keys._handle_custom_msg(content, [])
    assert heard == [ENTER, ("x", "y")]


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        (Stopwatch("{} of 1:00", 59.9, 1, 60.0, "{} late"), "0:59 of 1:00"),
        (Stopwatch("{} of 1:00", 61.0, 1, 60.0, "{} late"), "1:01 late"),
        (Stopwatch("{} left", 600.0, -1), "10:00 left"),
        (Stopwatch("{} left", -61.5, -1, None, "{} over"), "1:01 over"),
    ],
)
def test_a_stopwatch_says_its_time(watch, said):
    assert watch.said() == said


def test_the_script_needs_no_network_and_is_well_formed(tmp_path):
    code = str(Keys._esm)
    assert "http" not in code and "import " not in code.replace("importan", "")
    if node := shutil.which("node"):
        path = tmp_path / "keys.mjs"
        path.write_text(code, encoding="utf-8")
        assert subprocess.run([node, "--check", path]).returncode == 0


def test_the_drill_says_that_its_log_cannot_be_read(tmp_path, monkeypatch):
    from course_lib.interview.practice import Session
    from course_lib.learner.store import ReviewStore, StoreError

    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    view = DrillView(Session("07"))

    def broken(_self):
        raise StoreError("cannot keep reviews: no space")

    monkeypatch.setattr(ReviewStore, "reviews", broken)
    view.reveal.click()
    view.ratings[3].click()
    assert "Not saved: cannot keep reviews: no space" in view.notice.value
