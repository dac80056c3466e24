"""All exercises: a right answer passes in any style, and an answer that writes into its arguments is told so."""

import functools
import importlib
import inspect
import pkgutil

import pytest
import torch

import course_lib.exercises
from course_lib.lesson.exercises import judge

EXERCISES = [
    exercise
    for module in pkgutil.iter_modules(course_lib.exercises.__path__)
    for exercise in importlib.import_module(f"course_lib.exercises.{module.name}").EXERCISES
]
STAYS_IN_FLOAT64 = {"02.1 welford"}
"""Its task asks for float64."""


def each_exercise(function):
    return pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)(function)


@each_exercise
def test_right_answers_in_other_styles_pass(exercise):
    assert len(exercise.alternatives) >= 2, "an exercise needs two right answers in other styles"
    for style, answer in exercise.alternatives.items():
        passed, line, _ = judge(exercise, answer)
        assert passed, f"{style}: {line}"


def cast(value, source, target):
    """Tensors of one float type to another, at any depth."""
    if isinstance(value, torch.Tensor):
        return value.to(target) if value.dtype is source else value
    if isinstance(value, list | tuple):
        return type(value)(cast(each, source, target) for each in value)
    return value


def works_in(reference, source, target, back):
    """The reference, as somebody writes it who turns numbers of type `source` into `target` first."""

    @functools.wraps(reference)
    def answer(*arguments, **options):
        options = {name: cast(value, source, target) for name, value in options.items()}
        result = reference(*cast(arguments, source, target), **options)
        return cast(result, target, source) if back else result

    return answer


@each_exercise
@pytest.mark.parametrize("back", [True, False], ids=["and back", "and stays"])
@pytest.mark.parametrize("target", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_type_inside_does_not_matter(exercise, target, back):
    source = torch.float64 if target is torch.float32 else torch.float32
    if exercise.id in STAYS_IN_FLOAT64 and target is torch.float32:
        return
    passed, line, _ = judge(exercise, works_in(exercise.reference, source, target, back))
    assert passed, line


def spoil(value):
    """Change a value in place if it can be; whether it was changed."""
    if isinstance(value, torch.Tensor) and value.numel():
        with torch.no_grad():
            value.logical_not_() if value.dtype is torch.bool else value.add_(1)
        return True
    if isinstance(value, list) and value:
        value.append(value[0])
        return True
    return False


def spoiling(reference, place, name, before):
    """The reference, changing its argument number `place` before or after it has worked."""
    spoilt = []

    def answer(*arguments, **options):
        given = options.get(name, arguments[place] if place < len(arguments) else None)
        if before:
            spoilt.append(spoil(given))
        result = reference(*arguments, **options)
        if not before:
            spoilt.append(spoil(given))
        return result

    answer.spoilt = spoilt
    return answer


@each_exercise
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_answer_that_writes_into_an_argument_is_told_so_and_spoils_nothing(exercise, before):
    for place, name in enumerate(exercise.parameters):
        answer = spoiling(exercise.reference, place, name, before)
        passed, line, _ = judge(exercise, answer)
        if any(answer.spoilt):
            assert not passed and f"changed its argument `{name}`" in line, line
    passed, line, _ = judge(exercise, exercise.reference)
    assert passed, f"the reference fails after the others: {line}"


@each_exercise
def test_no_stage_looks_for_spoilt_arguments_itself(exercise):
    """The witness does, for all of them."""
    assert not [name for stage in exercise.stages if "leaves_its_input" in (name := stage.__name__)]


@each_exercise
def test_the_task_names_the_arguments(exercise):
    assert exercise.parameters, "the task opens with 'Write name(arguments)'"
    assert set(exercise.mutates) <= set(exercise.parameters)
    for answer in (*exercise.alternatives.values(),):
        kinds = inspect.signature(answer).parameters.values()
        if all(each.kind is each.POSITIONAL_OR_KEYWORD for each in kinds):
            assert [each.name for each in kinds] == list(exercise.parameters), "a learner starts from the task's names"
