"""Every exercise accepts its reference and rejects each of its mutants with that mutant's own advice."""

import importlib
import pkgutil

import pytest

import course_lib.exercises
from course_lib.learner import log
from course_lib.lesson.exercises import Exercise, check, hint, judge

MODULES = [
    importlib.import_module(f"course_lib.exercises.{m.name}")
    for m in pkgutil.iter_modules(course_lib.exercises.__path__)
]
EXERCISES = [exercise for module in MODULES for exercise in module.EXERCISES]


@pytest.fixture
def live(monkeypatch, tmp_path):
    """A learner's own kernel, with a log of its own."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_STATIC", raising=False)


def doubled():
    def doubles_two(answer):
        assert answer(2) != 2, "that returns its input"
        assert answer(2) == 4, "2 should become 4"

    return Exercise(
        id="00.9 double", task="Double it.", stages=(doubles_two,), reference=lambda x: 2 * x, hints=("add", "x + x")
    )


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_reference_passes(exercise):
    assert judge(exercise, exercise.reference)[:2] == (True, f"✓ {exercise.id}  passed")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_every_mutant_gets_its_own_advice(exercise):
    assert len(exercise.mutants) >= 3, "an exercise needs at least three typical wrong answers"
    verdicts = {advice: judge(exercise, mutant) for advice, mutant in exercise.mutants.items()}
    for advice, verdict in verdicts.items():
        assert not verdict.passed, f"mutant '{advice}' passed"
        assert advice in verdict.line, f"expected '{advice}' in: {verdict.line}"
    assert len({verdict.line for verdict in verdicts.values()}) == len(verdicts), "two mutants get the same advice"


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_every_stage_is_needed_by_a_mutant(exercise):
    lines = "\n".join(judge(exercise, mutant).line for mutant in exercise.mutants.values())
    for number, stage in enumerate(exercise.stages, start=1):
        assert f"stage {number} of" in lines, f"no mutant is stopped by stage {number}: {stage.__name__}"


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_says_what_to_write_and_helps_in_steps(exercise):
    assert exercise.task.strip() and len(exercise.hints) >= 2 and 1 <= exercise.difficulty <= 3 and exercise.minutes > 0


def test_ids_are_unique_and_name_their_lesson():
    ids = [exercise.id for exercise in EXERCISES]
    assert len(set(ids)) == len(ids)
    for module in MODULES:
        number = module.__name__[-2:]
        assert all(exercise.id.startswith(f"{number}.") for exercise in module.EXERCISES)


def test_a_stub_is_not_attempted_yet(capsys):
    def stub(x):
        raise NotImplementedError

    assert check(doubled(), stub) is None  # so that a cell that ends in it shows the line alone
    assert capsys.readouterr().out == "○ 00.9 double  not attempted yet\n"


def test_an_error_in_the_answer_is_named_and_does_not_stop_the_notebook():
    passed, line, stage = judge(doubled(), lambda x: x + undefined_name)  # noqa: F821
    assert not passed and stage == 1 and "your code raised NameError in line" in line


def test_advice_names_the_stage():
    assert judge(doubled(), lambda x: x).line.startswith("✗ 00.9 double  stage 1 of 1: that returns its input")


@pytest.mark.parametrize("level", [3, -1, 99])
def test_a_hint_that_there_is_not_says_which_there_are(capsys, level):
    hint(doubled(), level=level)
    assert capsys.readouterr().out == "00.9 double  ●○○  5 minutes  hints: level=1 to level=2\n"


def test_hints_come_in_order(capsys):
    hint(doubled())
    hint(doubled(), level=2)
    assert capsys.readouterr().out.splitlines() == [
        "00.9 double  ●○○  5 minutes  hints: level=1 to level=2",
        "hint 2 of 2: x + x",
    ]


def test_every_try_is_noted(live):
    check(doubled(), lambda x: x)
    check(doubled(), lambda x: 3 * x)
    check(doubled(), lambda x: 2 * x)
    notes = log.entries("check")
    assert [each.id for each in notes] == ["00.9 double"] * 3
    assert [each.detail["passed"] for each in notes] == [False, False, True]
    assert [each.detail["stage"] for each in notes] == [1, 1, 0] and notes[0].detail["stages"] == 1


def test_an_untouched_lesson_that_is_run_from_top_to_bottom_notes_nothing(live, capsys):
    def stub(x):
        raise NotImplementedError

    check(doubled(), stub)
    check(doubled(), doubled().reference, solution=True)
    assert capsys.readouterr().out == "○ 00.9 double  not attempted yet\n✓ 00.9 double  passed\n"
    assert log.entries("check") == []


def test_a_build_notes_nothing(live, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    check(doubled(), lambda x: 2 * x)
    monkeypatch.delenv("COURSE_STATIC")
    assert log.entries("check") == []
