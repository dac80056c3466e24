"""What is written during a mock interview in a terminal is kept, however one leaves; the report quotes it."""

import functools

import pytest

from course_lib.cli_call import Parser
from course_lib.cli_interview import add_interview_parsers
from course_lib.interview import mock_terminal
from course_lib.interview.questions import load_questions
from course_lib.interview.rounds import choice, coding
from course_lib.interview.rounds.log import read_mocks, unfinished
from course_lib.interview.rounds.page import Material
from course_lib.interview.rounds.report import as_text, make_report
from course_lib.interview.rounds.state import FORM
from course_lib.learner.store import ReviewStore
from course_lib.lesson.exercises import judge

bank = functools.cache(load_questions)
exercises = functools.cache(coding.load_exercises)
TO_CODE = ["n", "n", "n"]
TO_PROJECT = [*TO_CODE, "n"]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(choice, "load_exercises", exercises)
    monkeypatch.setattr(Material, "bank", {each.id: each for each in bank()})
    monkeypatch.setattr(Material, "exercises", exercises())
    return tmp_path


class Learner:
    """Types one line after another; a callable does something first and returns the line, an exception is raised."""

    def __init__(self, *lines):
        self.lines, self.said = list(lines), []

    def ask(self, prompt):
        self.said.append(prompt)
        line = self.lines.pop(0) if self.lines else EOFError
        if isinstance(line, type):
            raise line
        return line() if callable(line) else line


def interview(*lines, arguments=("--seed", "3", "--focus", "07")):
    parser = Parser()
    add_interview_parsers(parser.add_subparsers())
    learner = Learner(*lines)
    mock_terminal.run_mock(parser.parse_args(["mock", *arguments]), learner.ask, learner.said.append)
    (mock,) = read_mocks(ReviewStore())[0]
    return mock, "\n".join(learner.said)


def write_code(folder, text, line):
    """Writes the function into the file that the prompt names, then types `line`."""

    def act():
        (path,) = (folder / "mock").rglob("*.py")
        path.write_text(text, encoding="utf-8")
        return line

    return act


def code_node(mock):
    return next(node for node in mock.state.facts if node.step == "code")


LEAVE = [KeyboardInterrupt, EOFError, "q", "n", "e"]


def leaving(line, then):
    def act():
        then()
        if isinstance(line, type):
            raise line
        return line

    return act


@pytest.mark.parametrize("leave", LEAVE)
def test_code_that_was_never_run_is_kept_however_one_leaves(folder, leave):
    code = "def fuse(image, text):\n    return image  # half of it\n"
    mock, _ = interview(*TO_CODE, leaving(leave, write_code(folder, code, "")))
    assert mock.state.facts[code_node(mock)].draft == {"code": code.rstrip()}
    report = as_text(make_report(mock, [mock], Material(), "en"))
    assert "return image  # half of it" in report


def test_an_empty_stub_is_no_code(folder):
    mock, _ = interview(*TO_CODE, "e")
    assert mock.state.facts.get(code_node(mock)) is None or mock.state.facts[code_node(mock)].draft == {}


def test_code_that_is_handed_in_without_a_run_is_judged_and_counts(folder, monkeypatch):
    judged = []

    def judge_file(exercise, path):
        judged.append(path.read_text(encoding="utf-8"))
        return judge(exercise, exercise.reference)

    monkeypatch.setattr(coding, "judge_file", judge_file)
    code = "def fuse(image, text):\n    return right(image, text)\n"
    mock, text = interview(*TO_CODE, write_code(folder, code, "h"), "e")
    assert judged == [code] and "2 of 2 points" in text
    assert text.count("return right(image, text)") == 1  # once in the report
    (run,) = mock.state.facts[code_node(mock)].tries
    assert (run["passed"], run["mark"], run["code"]) == (True, 2, code.rstrip())


def test_code_is_not_judged_twice_and_a_stub_not_at_all(folder, monkeypatch):
    judged = []
    monkeypatch.setattr(coding, "judge_file", lambda exercise, path: judged.append(path) or judge(exercise, wrong))
    interview(*TO_CODE, write_code(folder, "def fuse(): 1\n", ""), "h", "e")
    assert len(judged) == 1


def test_handing_in_the_untouched_stub_runs_nothing(folder, monkeypatch):
    monkeypatch.setattr(coding, "judge_file", lambda *_: pytest.fail("there is nothing to judge"))
    _, text = interview(*TO_CODE, "h", "e")
    assert "0 of 2 points" in text


def wrong(*_, **__):
    return None


@pytest.mark.parametrize("leave", [KeyboardInterrupt, EOFError])
def test_notes_on_the_project_are_on_disk_line_by_line(leave):
    mock, text = interview(*TO_PROJECT, "o", "captions for shoes", "", "CLIP, then a linear layer", leave)
    draft = mock.state.facts[FORM].draft
    assert draft["what"] == "captions for shoes" and "CLIP, then a linear layer" in draft.values()
    assert f"course mock --resume {mock.id}" in text
    again, text = interview("o", "", leave, arguments=("--resume",))
    assert "[captions for shoes]" in text and again.state.facts[FORM].draft["what"] == "captions for shoes"
    assert unfinished(ReviewStore())[0].id == mock.id


def test_what_is_typed_instead_of_said_is_kept():
    mock, _ = interview("I built a shoe finder, alone, in a week", KeyboardInterrupt)
    (fact,) = mock.state.facts.values()
    assert fact.draft == {"text": "I built a shoe finder, alone, in a week"} and fact.revealed
