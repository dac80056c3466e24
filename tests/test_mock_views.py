"""The mock interview as learners meet it: widgets without a browser, the terminal with piped input, the static page."""

import functools
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from course_lib import cli
from course_lib.interview import mock as module
from course_lib.interview import mock_terminal
from course_lib.interview.mock import draw_script, mock, mock_report
from course_lib.interview.mock_view import MockView
from course_lib.interview.questions import load_questions
from course_lib.interview.rounds import choice, coding
from course_lib.interview.rounds.log import read_mocks, unfinished
from course_lib.interview.rounds.page import Material
from course_lib.learner.store import ReviewStore, StoreError

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
bank = functools.cache(load_questions)
exercises = functools.cache(coding.load_exercises)
LABELS = {"start": "Start the clock", "reveal": "Reveal", "next": "Next", "leave": "Next round"}


@pytest.fixture(autouse=True)
def read_once(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(choice, "load_exercises", exercises)
    monkeypatch.setattr(Material, "bank", {each.id: each for each in bank()})
    monkeypatch.setattr(Material, "exercises", exercises())


def view(language="en", **asked):
    store, material = ReviewStore(), Material()
    wanted = {"minutes": 45, "focus": "07", "level": None, "seed": 3} | asked
    return MockView(store, draw_script(store, material, now=START, **wanted), language, material=material, names=dict)


def press(view, name):
    button = view.buttons[name]
    assert button.layout.display != "none" and not button.disabled, f"{name} cannot be pressed"
    button.click()


def shown(view):
    return {name for name, button in view.buttons.items() if button.layout.display != "none"}


def mark(view, value):
    for row in view.marks.rows.values():
        row.value = value


def type_text(view, text, name="answer"):
    """What the browser sends a second after the last stroke."""
    view.keys._handle_custom_msg({"typed": name, "text": text}, [])


def press_key(view, key):
    view.keys._handle_custom_msg({"key": key}, [])


def enter(view, text):
    type_text(view, text)
    press_key(view, "Enter")


def times(view):
    return [each["text"] for each in view.keys.times]


def answer(view, value):
    press(view, "reveal")
    mark(view, value)
    press(view, "next")


# --- the notebook -------------------------------------------------------------------------------------------------


def test_nothing_is_recorded_before_the_clock_starts_and_the_page_says_what_comes():
    it = view()
    assert read_mocks(ReviewStore())[0] == []
    assert shown(it) == {"start"} and it.place.value == "" and times(it) == []
    assert "Depth questions: 14 min" in it.page.value and "From lesson 07" in it.page.value
    press(it, "start")
    assert "two minutes" in it.page.value
    assert "1/5 Opening" in it.place.value
    assert times(it) == ["round {} left of 3 min", "in all {} left of 45 min"]
    assert [each["step"] for each in it.keys.times] == [-1, -1] and 2690 < it.keys.times[1]["seconds"] <= 2700
    assert [each.state.status for each in unfinished(ReviewStore())] == ["running"]


def test_the_answer_shows_on_reveal_and_next_waits_for_every_mark():
    it = view()
    press(it, "start")
    press(it, "leave")
    question = it.material.question(it.session.state.current.item)
    assert question.question.en in it.page.value and question.key_points[0].en[:30] not in it.page.value
    assert "reveal" in shown(it) and not it.marks.rows
    press(it, "reveal")
    assert it.buttons["next"].disabled and "next" in shown(it)
    first, *others = it.marks.rows.values()
    for row in others:
        row.value = 2
    assert it.buttons["next"].disabled
    first.value = 0
    it.language.value = "zh"  # keeps the marks
    assert first.value == 0 and question.question.zh in it.page.value
    press(it, "next")
    kept = it.session.state.facts[next(node for node in it.session.state.facts if node.item == question.id)].marks
    assert list(kept.values()) == [0] + [2] * len(others)
    assert "关于：" in it.page.value  # a follow-up about the same question


def test_a_pause_covers_the_question():
    it = view()
    press(it, "start")
    press(it, "pause")
    assert "two minutes" not in it.page.value and shown(it) == {"pause", "end"}
    assert it.buttons["pause"].description == "Go on"
    press(it, "pause")
    assert "two minutes" in it.page.value


def test_a_sum_takes_enter_and_check_as_one_try():
    it = view()
    press(it, "start")
    for _ in range(2):
        press(it, "leave")
    enter(it, "1")
    press(it, "check")  # and the button
    assert len(it.session.state.fact.tries) == 1 and it.session.state.fact.tries[0]["message"][0] in it.tries.value
    assert it.buttons["hand_in"].description == "Give up"
    enter(it, it.material.problem(it.session.state.current.item).said_answer())
    assert "1 of 2 points" in it.tries.value and shown(it) >= {"next"}
    press(it, "next")
    assert it.answer.value == "" and it.session.state.current.round == "coding"


def test_code_is_taken_from_the_notebook_and_judged_by_its_exercise():
    it = view()
    press(it, "start")
    for _ in range(3):
        press(it, "leave")
    exercise = it.material.exercise(it.session.state.current.item)
    name, parameters = coding.signature(exercise)
    assert f"Write {name}{parameters} in a new cell" in it.page.value
    press(it, "check")
    assert f"no function {name} yet" in it.tries.value
    it.names = lambda: {name: exercise.reference}
    press(it, "check")
    assert "passed" in it.tries.value
    press(it, "hand_in")
    assert "2 of 2 points" in it.tries.value and f"def {name}(" in it.page.value


def to_report(it):
    press(it, "start")
    answer(it, 1)
    answer(it, 0)
    for _ in range(3):
        press(it, "leave")
    assert it.form.widget.layout.display == ""
    it.form.own.click()
    assert "say what you built" in it.notice.value
    it.form.fields["what"].value = "shoes"
    it.form.own.click()
    assert it.notice.value == "" and "You left this line empty" in it.page.value
    press(it, "end")


def test_the_report_comes_with_a_figure_and_the_form_is_there_the_next_time():
    it = view()
    to_report(it)
    assert shown(it) == set() and '<img alt="Left: points earned' in it.page.value
    assert "The drill asks these next" in it.page.value and "mechanism" in it.page.value
    assert times(it) == []
    again = view()
    assert "Your mock interviews" in again.page.value and again.waiting.children == ()
    press(again, "start")
    for _ in range(4):
        press(again, "leave")
    assert again.form.fields["what"].value == "shoes"


def test_an_unfinished_interview_is_offered_to_resume_or_drop():
    it = view()
    press(it, "start")
    answer(it, 2)
    place = it.session.state.current
    later = view()  # as after a restart of the kernel
    (row,) = later.waiting.children
    assert "Unfinished" in row.children[0].value and "interrupted" in row.children[0].value
    row.children[1].click()
    assert later.session.state.current == place and "hardest decision" in later.page.value
    assert later.waiting.children == ()
    press(it, "reveal")  # the window before the restart, if it still lives
    assert "continued in another window" in it.notice.value
    last = view()
    last.waiting.children[0].children[2].click()
    assert last.waiting.children == () and "dropped" in last.page.value


def test_stale_clicks_do_nothing():
    it = view()
    for button in it.buttons.values():
        if button is not it.buttons["start"]:
            button.click()
    assert it.session is None and it.notice.value == ""
    it.buttons["start"].click()
    it.buttons["check"].click()
    it.buttons["next"].click()
    assert it.session.mock.count == 1


def test_what_cannot_be_saved_stays_on_the_screen(monkeypatch):
    it = view()
    press(it, "start")

    def full(*_):
        raise StoreError("disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ReviewStore, "add_mock_event", full)
        press(it, "reveal")
    assert "disk is full" in it.notice.value and "two minutes" in it.page.value
    press(it, "reveal")
    assert it.notice.value == "" and "next" in shown(it)


def test_the_static_page_is_the_same_whatever_the_log_holds(monkeypatch):
    pages = []
    monkeypatch.setattr(module, "display", lambda page: pages.append(page.data))
    monkeypatch.setenv("COURSE_STATIC", "1")
    mock(30, focus="07", level="staff", language="zh")
    assert "30 min · lesson 07 · onsite and staff · 中文" in pages[0] and "Coding, 8 min" in pages[0]
    it = view()
    press(it, "start")
    mock(30, focus="07", level="staff", language="zh")
    mock_report()
    assert pages[1] == pages[0] and "live in JupyterLab" in pages[2]
    for wrong in ({"minutes": 20}, {"focus": "99"}, {"level": "x"}, {"language": "de"}):
        with pytest.raises(ValueError, match="takes 30 or 45|is no lesson|is none of|not in the bank"):
            mock(**wrong)


def test_a_report_is_markdown_and_a_figure(monkeypatch):
    with pytest.raises(ValueError, match="no mock interview yet, so there is no report; start one with mock"):
        mock_report()
    to_report(view())
    pages, figures = [], []
    monkeypatch.setattr(module, "display", lambda page: pages.append(page.data))
    monkeypatch.setattr(module, "show", lambda figure, alt: figures.append(alt))
    with pytest.raises(ValueError, match="no mock interview 'x'; there are 2"):
        mock_report("x")
    mock_report(language="zh")
    assert pages[0].startswith("### ") and "模拟面试" in pages[0] and len(figures) == 1


# --- the terminal -------------------------------------------------------------------------------------------------


class Script:
    """Answers one prompt after another, and remembers what was said."""

    def __init__(self, *lines):
        self.lines, self.said = list(lines), []

    def ask(self, prompt):
        self.said.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    @property
    def text(self):
        return "\n".join(self.said)


def course(monkeypatch, lines, *arguments):
    script = Script(*lines)
    with monkeypatch.context() as terminal:
        terminal.setattr("builtins.input", script.ask)
        terminal.setattr("builtins.print", lambda *texts, **_: script.said.extend(map(str, texts)))
        return cli.main(["mock", *arguments]), script.text


def test_a_whole_interview_in_a_terminal(monkeypatch):
    monkeypatch.setattr(coding, "judge_file", lambda exercise, path: coding.judge(exercise, exercise.reference))
    lines = ["", "111", "n", "1", "h", "", "", "2", "22", "t", "e"]
    status, text = course(monkeypatch, lines, "--seed", "3", "--focus", "07")
    assert status == 0
    for part in ("1/5 Opening", "2/5 Depth", "3/5 Arithmetic", "running the tests", "passed", "2 of 2 points"):
        assert part in text
    assert "Facts from code and record" not in text  # ended before the reveal
    assert "Mock interview of" in text and "3 of 6 points" not in text.partition("Mock interview of")[0]
    (done,) = read_mocks(ReviewStore())[0]
    assert done.state.status == "ended"


def test_marks_that_do_not_fit_are_asked_again(monkeypatch):
    _, text = course(monkeypatch, ["", "1", "013", "x", "0 1,2", "q"])
    assert text.count("digits wanted: 3, each 0, 1 or 2") == 3
    (mock,) = unfinished(ReviewStore())
    assert list(mock.state.facts.values())[0].marks == {"definition": 0, "limits": 1, "number": 2}


@pytest.mark.parametrize("stop", ["q", EOFError, KeyboardInterrupt])
def test_stopping_keeps_the_state_and_says_how_to_go_on(monkeypatch, stop):
    script = Script("", "000", *([stop] if stop == "q" else []))
    if stop is KeyboardInterrupt:
        ask = script.ask

        def interrupted(prompt):
            try:
                return ask(prompt)
            except EOFError:
                raise KeyboardInterrupt from None

        script.ask = interrupted
    arguments = cli_arguments("--seed", "3")
    assert mock_terminal.run_mock(arguments, script.ask, script.said.append) == 0
    (mock,) = unfinished(ReviewStore())
    assert f"course mock --resume {mock.id}" in script.text and mock.state.status == "paused"
    status, text = course(monkeypatch, ["q"], "--resume")
    assert status == 0 and "One step back" in text  # the probe after a weak answer
    assert unfinished(ReviewStore())[0].state.pauses == 2


def cli_arguments(*arguments):
    from argparse import ArgumentParser

    from course_lib.cli_interview import add_interview_parsers

    parser = ArgumentParser()
    add_interview_parsers(parser.add_subparsers())
    return parser.parse_args(["mock", *arguments])


def test_a_pause_in_the_terminal_waits_for_enter(monkeypatch):
    _, text = course(monkeypatch, ["p", "", "q"])
    assert "Paused. Enter goes on" in text and text.count("1/5 Opening") == 2
    assert unfinished(ReviewStore())[0].state.pauses == 2  # and the one of q


def test_a_question_that_left_the_bank_can_be_passed_in_the_terminal(monkeypatch):
    course(monkeypatch, ["n", "q"], "--seed", "3")
    (mock,) = unfinished(ReviewStore())
    gone = mock.state.current.item
    monkeypatch.setattr(Material, "bank", {id: each for id, each in Material.bank.items() if id != gone})
    _, text = course(monkeypatch, ["x", "n", "q"], "--resume")
    assert text.count(f"{gone} is not in the course any more") == 2 and "3/5 Arithmetic" in text


def test_list_drop_and_report(monkeypatch, capsys):
    course(monkeypatch, ["q"], "--seed", "1")
    course(monkeypatch, ["", "222", "e"], "--seed", "2")
    (left,) = unfinished(ReviewStore())
    assert cli.main(["mock", "--list", "--language", "zh"]) == 0
    listed = capsys.readouterr().out
    assert left.id in listed and "暂停" in listed and "6 / 6 分" in listed
    assert cli.main(["mock", "--report"]) == 0
    assert "6 of 6 points" in capsys.readouterr().out
    assert cli.main(["mock", "--drop", left.id]) == 0
    assert cli.main(["mock", "--drop", left.id]) == 2
    assert "no such mock interview" in capsys.readouterr().err
    assert cli.main(["mock", "--resume"]) == 2
    assert "none; start one with: course mock" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [("--minutes", "20"), ("--focus", "99"), ("--level", "intern")])
def test_a_wrong_request_is_refused_in_one_line(wrong, capsys):
    assert cli.main(["mock", *wrong]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and any(part in error for part in ("30 or 45", "'01' to '32'", "onsite"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_piped_input_without_a_terminal_works_and_a_killed_one_goes_on(tmp_path):
    command = [sys.executable, "-m", "course_lib.cli", "mock", "--seed", "3"]
    process = subprocess.Popen(command, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write("\n200\n\n")
    process.stdin.flush()
    for line in process.stdout:
        if "step back" in line or "One input" in line or "Name one" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (mock,) = unfinished(ReviewStore())
    assert mock.state.status == "running" and mock.state.current.step == "probe:limits"
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.cli", "mock", "--resume"],
        input="",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and mock.id in done.stdout
    (again,) = unfinished(ReviewStore())
    assert (again.state.status, again.state.interruptions) == ("paused", 1)
    assert again.state.current == mock.state.current
    assert again.state.last - again.started < timedelta(minutes=5)
