"""The mock interview's view: at every stage, whatever is pressed and however it goes, what was put down is kept."""

import functools
import sys
from datetime import UTC, datetime

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course_lib.interview import mock_page
from course_lib.interview.mock_page import BUTTONS
from course_lib.interview.mock_view import MockView
from course_lib.interview.questions import load_questions
from course_lib.interview.rounds import choice, coding
from course_lib.interview.rounds.log import read_mocks
from course_lib.interview.rounds.outcome import outcome
from course_lib.interview.rounds.page import Material
from course_lib.interview.rounds.report import as_text, make_report
from course_lib.interview.rounds.rubric import Points
from course_lib.interview.schedule import cards_of
from course_lib.learner.store import ReviewStore, StoreError

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
bank = functools.cache(load_questions)
exercises = functools.cache(coding.load_exercises)


@functools.cache
def script():
    asked = {"minutes": 45, "focus": "07", "level": None, "seed": 3, "now": START}
    return choice.write_script(cards_of(bank(), []), **asked)


@pytest.fixture
def shell(monkeypatch):
    """IPython's own, with nothing in it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell takes its place and empties it
    found = InteractiveShell.instance()
    found.reset(new_session=False)
    yield found
    InteractiveShell.clear_instance()


@pytest.fixture
def new_view(tmp_path, monkeypatch, shell):
    """Makes a view as `mock` does; all of them keep their log in one place."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(choice, "load_exercises", exercises)
    monkeypatch.setattr(mock_page, "draw_profile", lambda _: (None, None))  # the report's figure, which takes longest
    monkeypatch.setattr(mock_page, "png", lambda _: b"PNG")
    monkeypatch.setattr(Material, "bank", {each.id: each for each in bank()})
    monkeypatch.setattr(Material, "exercises", exercises())

    def make():
        view = MockView(ReviewStore(), script(), material=Material(), names=lambda: shell.user_ns)
        view.watch(shell)
        return view

    return make


def message(view, **content):
    view.keys._handle_custom_msg(content, [])


def to(view, rounds):
    for name in ("start", *["leave"] * rounds):
        view.buttons[name].click()
    return view


def function(view):
    return coding.signature(view.material.exercise(view.node.item))[0]


# --- the stages: what is on the screen, and what the report must hold whatever happens next ---------------------------


def start_page(view, _shell):
    return ()


def question(view, _shell):
    to(view, 1)
    return ()


def half_marked(view, _shell):
    to(view, 1)
    message(view, key=" ")
    message(view, key="2")
    message(view, key="1")
    message(view, key="Backspace")
    message(view, key="1")
    return ("definition: 2 of 2 points", "mechanism: 1 of 2 points")


def sum_typed(view, _shell):
    to(view, 2)
    message(view, typed="answer", text="12 G")
    message(view, typed="answer", text="12 GB or so")
    return ("12 GB or so",)


def sum_tried(view, _shell):
    to(view, 2)
    message(view, typed="answer", text="3 MB")
    message(view, key="Enter")
    message(view, typed="answer", text="4 MB or so")
    return ("3 MB", "4 MB or so", "number: 0 of 2 points")


def code_run(view, shell):
    to(view, 3)
    shell.run_cell(f"def {function(view)}(*args):\n    return 'first thought'")
    shell.run_cell(f"def {function(view)}(*args):\n    return 'second thought'")
    return ("return 'second thought'",)


def code_checked(view, shell):
    to(view, 3)
    exercise = view.material.exercise(view.node.item)
    shell.run_cell(f"def {function(view)}(*args, **kinds):\n    return reference(*args, **kinds)  # mine")
    shell.user_ns["reference"] = exercise.reference
    view.buttons["check"].click()
    return ("# mine", "passed", "mechanism: 2 of 2 points")


def code_handed_in(view, shell):
    said = code_checked(view, shell)
    view.buttons["hand_in"].click()
    return said


def form_typed(view, _shell):
    to(view, 4)
    message(view, typed="what", text="captions for shoes")
    message(view, typed="data", text="9,000 photos")
    return ("what: captions for shoes", "data: 9,000 photos")


def project_half_marked(view, shell):
    said = form_typed(view, shell)
    view.form.own.click()
    message(view, key=" ")
    message(view, key="2")
    return (*said, "handed in", "2 of 2 points")


STAGES = (
    start_page,
    question,
    half_marked,
    sum_typed,
    sum_tried,
    code_run,
    code_checked,
    code_handed_in,
    form_typed,
    project_half_marked,
)


# --- what may happen next ---------------------------------------------------------------------------------------------


def press(name):
    def act(view, _new_view):
        view.buttons[name].click()

    act.__name__ = f"press_{name}"
    return act


def space(view, _new_view):
    message(view, key=" ")


def enter(view, _new_view):
    message(view, key="Enter")


def number(view, _new_view):
    if not view.marks.rows:  # it would mark another row, and rightly change the report
        message(view, key="0")


def other_language(view, _new_view):
    view.language.value = "zh"
    view.language.value = "en"


def page_loads_again(view, _new_view):
    message(view, shown=True)


def pause_and_go_on(view, _new_view):
    view.buttons["pause"].click()
    view.buttons["pause"].click()


def cell_runs_again(view, new_view):
    view.retire()
    for button in view.buttons.values():
        button.click()
    resume(new_view())


def kernel_is_killed(_view, new_view):
    resume(new_view())


def another_window_ends_it(view, new_view):
    other = new_view()
    resume(other)
    other.buttons["end"].click()
    view.buttons["leave"].click()


def another_window_drops_it(view, new_view):
    other = new_view()
    for row in other.waiting.children:
        row.children[2].click()
    view.buttons["reveal"].click()
    view.buttons["end"].click()


def tiny_vlm_instead(view, _new_view):
    view.form.tiny.click()


def resume(view):
    for row in view.waiting.children[:1]:
        row.children[1].click()


ACTIONS = (
    *map(press, BUTTONS),
    space,
    enter,
    number,
    other_language,
    page_loads_again,
    pause_and_go_on,
    cell_runs_again,
    kernel_is_killed,
    another_window_ends_it,
    another_window_drops_it,
    tiny_vlm_instead,
)


def said_by_the_report(view):
    mocks, notes = read_mocks(ReviewStore())
    assert notes == []
    return as_text(make_report(mocks[-1], mocks, view.material)) if mocks else ""


@pytest.mark.parametrize("stage", STAGES)  # one test a stage: beginning costs more than acting
def test_what_was_put_down_is_kept(new_view, shell, capsys, monkeypatch, tmp_path, stage):
    for action in ACTIONS:
        monkeypatch.setenv("COURSE_DATA", str(tmp_path / action.__name__))
        view = new_view()
        quoted = stage(view, shell)
        action(view, new_view)
        before_the_end = said_by_the_report(view)
        view.buttons["end"].click()
        for report in (before_the_end, said_by_the_report(view)):
            missing = [text for text in quoted if text not in report]
            assert not missing, f"{action.__name__} at {stage.__name__} loses {missing}:\n{report}"
        assert "This failed" not in view.notice.value, view.notice.value
        if not view.over:
            view.retire()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        (half_marked, lambda view: view.marks.given() == {"definition": 2, "mechanism": 1}),
        (sum_typed, lambda view: view.texts["answer"] == "12 GB or so"),
        (sum_tried, lambda view: view.texts["answer"] == "4 MB or so" and "too small" in view.tries.value),
        (code_checked, lambda view: "passed" in view.tries.value),
        (code_handed_in, lambda view: "2 of 2 points" in view.tries.value),
        (form_typed, lambda view: view.texts["data"] == "9,000 photos"),
        (project_half_marked, lambda view: len(view.marks.given()) == 1),
    ],
)
@pytest.mark.parametrize("way", [page_loads_again, pause_and_go_on, other_language, "kernel is killed"])
def test_it_is_on_the_screen_again(new_view, shell, stage, shown, way):
    view = new_view()
    stage(view, shell)
    if way == "kernel is killed":
        view = new_view()
        resume(view)
    else:
        way(view, new_view)
    assert shown(view)
    if way in ("kernel is killed", page_loads_again):
        assert all(box.value == view.texts[name] for name, box in view.boxes.items())


def test_handing_in_hands_in_what_stands_there_now(new_view, shell):
    view = new_view()
    to(view, 3)
    exercise = view.material.exercise(view.node.item)
    shell.user_ns[function(view)] = exercise.reference  # never checked
    view.buttons["hand_in"].click()
    assert "passed" in view.tries.value and "2 of 2 points" in view.tries.value
    view.buttons["end"].click()
    assert outcome(view.state).rounds[3].points == Points(2, 2)


def test_an_endless_loop_can_be_interrupted_and_handed_in(new_view, shell):
    view = new_view()
    to(view, 3)
    shell.run_cell(f"def {function(view)}(*args, **kinds):\n    raise KeyboardInterrupt")
    view.buttons["check"].click()
    assert "the tests were interrupted: is there a loop without an end?" in view.tries.value
    view.buttons["hand_in"].click()
    assert "0 of 2 points" in view.tries.value and view.trouble == ""


def test_a_second_click_on_start_begins_no_second_interview(new_view):
    view = new_view()
    view.buttons["start"].click()
    view.buttons["start"].click()
    assert len(read_mocks(ReviewStore())[0]) == 1


def test_marks_by_keys_go_row_by_row_and_space_goes_on(new_view):
    view = to(new_view(), 0)
    message(view, key="1")
    assert view.state.fact.draft == {}  # nothing is revealed
    message(view, key=" ")
    assert view.keys.wanted == ["0", "1", "2", "Backspace"]
    for key in "1110":
        message(view, key=key)
    assert view.marks.given() == {"definition": 1, "limits": 1, "number": 1} and view.keys.wanted[0] == " "
    message(view, key=" ")
    assert view.node.round == "depth" and view.marks.rows == {}
    assert [row.tooltips[2] for row in to_marks(view)] == [
        f"{name}: 2" for name in ("definition", "mechanism", "limits", "number")
    ]


def to_marks(view):
    message(view, key=" ")
    return view.marks.rows.values()


def test_a_draft_that_cannot_be_saved_is_said_and_typed_on(new_view, monkeypatch):
    view = to(new_view(), 2)
    page = view.page.value

    def full(*_):
        raise StoreError("disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ReviewStore, "add_mock_event", full)
        message(view, typed="answer", text="12")
        assert "disk is full" in view.notice.value and view.page.value == page
    message(view, typed="answer", text="12 GB")
    view.buttons["pause"].click()
    assert view.notice.value == "" and "12 GB" in said_by_the_report(view)


def test_a_question_that_left_the_course_does_not_stop_the_end(new_view, monkeypatch):
    view = to(new_view(), 3)
    monkeypatch.setattr(Material, "exercises", {})
    view.buttons["check"].click()
    assert "is not in the course any more" in view.notice.value
    view.buttons["end"].click()
    assert view.state.status == "ended"


def test_a_view_that_is_over_watches_no_cells(new_view, shell):
    view = to(new_view(), 3)
    name, node = function(view), view.node
    view.retire()
    shell.run_cell(f"def {name}(): ...")
    assert read_mocks(ReviewStore())[0][0].state.facts[node].draft == {}


def test_the_static_form_says_what_would_be_asked_and_what_waits(new_view):
    to(new_view(), 1)
    page = new_view().static_html()
    assert "Depth questions: 14 min" in page and "interrupted" in page and "can be resumed" in page
