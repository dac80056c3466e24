"""The judge of exercises: what it hands out, what it compares, and what it says about a crash."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.lesson.exercises import TOUCHED, Exercise, judge
from course_lib.lesson.tolerance import TOLERANCE, close
from course_lib.lesson.witness import Witness, fresh_world

NUMBERS = torch.arange(3.0)
WORDS = ["a", "b"]


def adds_up(total):
    assert total(NUMBERS, WORDS) == 3.0, "the numbers add up to 3"
    assert NUMBERS.tolist() == [0.0, 1.0, 2.0] and WORDS == ["a", "b"], "a fixture was spoilt"


def exercise(*stages, **more):
    return Exercise(
        id="00.9 total", task="Write total(numbers, words): their sum.", stages=stages, reference=sum, **more
    )


def line(answer, *stages, **more):
    return judge(exercise(*(stages or (adds_up,)), **more), answer).line


def writes_into(argument):
    def total(x, y):
        result = x.sum()
        x.zero_() if argument == 0 else y.append("c")
        return result

    return total


@pytest.mark.parametrize("argument, name", [(0, "numbers"), (1, "words")])
def test_a_changed_argument_is_named_as_the_task_names_it_and_nothing_is_spoilt(argument, name):
    assert line(writes_into(argument)) == f"✗ 00.9 total  stage 1 of 1: {TOUCHED.format(f'`{name}`')}"
    assert line(lambda x, y: x.sum()) == "✓ 00.9 total  passed"


def test_a_changed_argument_comes_before_every_other_advice():
    assert "changed its argument `numbers`" in line(lambda x, y: x.mul_(2).sum())
    assert "changed its argument `words`" in line(lambda x, y: y.clear() or undefined)  # noqa: F821


def test_an_argument_that_the_task_tells_to_change_may_change():
    assert line(lambda x, y: (x.sum(), y.append("c"))[0], mutates=("words",)) == "✓ 00.9 total  passed"


@pytest.mark.parametrize(
    "given, change",
    [
        ([[torch.zeros(2)]], lambda x: x[0][0].add_(1)),
        ({"a": torch.zeros(2)}, lambda x: x["a"].add_(1)),
        ({"a": 1}, lambda x: x.update(b=2)),
        ([3, 1, 2], lambda x: x.sort()),
        ({1, 2}, lambda x: x.add(3)),
        (torch.zeros(2, 3), lambda x: x.t_()),
        (torch.tensor([1, 2]), lambda x: x.add_(1)),
        (torch.tensor([torch.nan, 1.0]), lambda x: x.nan_to_num_()),
        (np.array([1.0, np.nan]), lambda x: x.fill(2)),
        (np.array(["b", "a"]), lambda x: x.sort()),
        (nn.Parameter(torch.ones(2)), lambda x: x.data.zero_()),
        (nn.Linear(2, 2), lambda x: x.weight.data.zero_()),
        (nn.Linear(2, 2), lambda x: x.requires_grad_(False)),
        (nn.Dropout(), lambda x: x.eval()),
    ],
)
def test_changes_at_any_depth_are_seen(given, change):
    witness = Witness(change)
    witness(given)
    assert witness.changed == "number 1"
    witness = Witness(lambda x: None)
    witness(given)
    witness(x=given)
    assert witness.changed is None


def test_a_changed_option_is_named():
    witness = Witness(lambda a, b: b.append(1))
    witness(1, b=[])
    assert witness.changed == "`b`"


def test_gradients_reach_what_the_checker_gave():
    x = torch.ones(2, requires_grad=True)
    Witness(lambda x: x.square().sum())(x).backward()
    assert x.grad.tolist() == [2.0, 2.0]


def helper(x):
    return torch.cat([x, torch.zeros(1, 1)])


def deep_in_torch(x, y):
    wide = x
    return helper(wide)


def calls_back(x, y):
    return sum(y) + (lambda: x @ torch.zeros(7))()


def test_a_crash_is_found_in_the_last_line_of_the_learner():
    said = line(deep_in_torch)
    assert f"in line {helper.__code__.co_firstlineno + 1}, `return torch.cat([x, torch.zeros(1, 1)])`: " in said
    assert said.startswith("✗ 00.9 total  stage 1 of 1: your code raised RuntimeError")
    assert f"TypeError in line {calls_back.__code__.co_firstlineno + 1}, `return sum(y) +" in line(calls_back)


def test_a_crash_in_a_function_that_the_checker_gave_is_found_where_it_was_called():
    from course_lib.exercises.lesson_29 import deletion_curve

    def answer(score, x, importance):
        return score(x[:, :2])

    said = judge(deletion_curve, answer).line
    assert f"in line {answer.__code__.co_firstlineno + 1}, `return score(x[:, :2])`: " in said


def test_code_of_a_cell_is_shown():
    """A notebook registers its cells in linecache, under names that are no files."""
    import linecache

    source = "def total(x, y):\n    return x.summ()\n"
    linecache.cache["<cell 7>"] = (len(source), None, source.splitlines(keepends=True), "<cell 7>")
    names = {}
    exec(compile(source, "<cell 7>", "exec"), names)
    assert "AttributeError in line 2, `return x.summ()`: 'Tensor' object has no attribute" in line(names["total"])


class Callable:
    def __call__(self, x, y):
        return x.undefined


def test_a_class_a_partial_and_a_wrong_signature():
    from functools import partial

    assert "`return x.undefined`" in line(Callable())
    assert "`return torch.cat" in line(partial(deep_in_torch))
    assert "stage 1 of 1: your code raised TypeError: " in line(lambda x: x)


@pytest.mark.parametrize(
    "came, words",
    [
        (None, "None (is there a return?) came back"),
        ((1, 2), "a tuple of 2 came back"),
        (torch.zeros(2, 3), "a tensor of shape (2, 3) came back"),
        ("text", "str 'text' came back"),
    ],
)
def test_a_result_that_the_checker_cannot_use_is_not_called_a_crash(came, words):
    def has_an_item(total):
        assert total(NUMBERS, WORDS).item() + 0 == 3

    assert words + ", which is not what the task asks for" in line(lambda x, y: came, has_an_item)


@pytest.mark.parametrize("cut", [torch.Tensor.detach, lambda x: torch.tensor(x.tolist()), torch.zeros_like])
def test_a_result_without_a_gradient_is_told_so(cut):
    def has_a_gradient(total):
        numbers = NUMBERS.clone().requires_grad_()
        torch.autograd.grad(total(numbers, WORDS).sum(), numbers)

    assert "came back without a gradient to the arguments: something cut the graph" in line(
        lambda x, y: cut(x), has_a_gradient
    )


def test_an_assertion_of_the_learner_is_a_crash_and_one_of_the_checker_is_advice():
    def total(x, y):
        assert len(x) == 4
        return x.sum()

    assert "your code raised AssertionError in line" in line(total) and "`assert len(x) == 4`" in line(total)

    from course_lib.exercises.lesson_21 import bootstrap_ci

    def apart(metric, label, score, resamples, level, generator):
        def rows():
            return torch.randint(len(label), (len(label),), generator=generator)

        return [metric(label[rows()], score[rows()]) for _ in range(resamples)][:2]

    assert "use the same rows for both" in judge(bootstrap_ci, apart).line


def test_a_type_that_torch_does_not_know_is_no_stub():
    assert "○" in line(lambda x, y: (_ for _ in ()).throw(NotImplementedError))
    said = line(lambda x, y: x.long().softmax(0))
    assert said.startswith("✗") and "not implemented for" in said


def test_a_call_of_exit_does_not_end_the_notebook():
    def total(x, y):
        raise SystemExit(0)

    assert "your code raised SystemExit in line" in line(total)


def test_the_world_outside_is_as_it_was():
    torch.manual_seed(3)
    random.seed(3)
    due = torch.rand(1), random.random()
    torch.manual_seed(3)
    random.seed(3)

    with fresh_world():
        torch.manual_seed(9)
        random.seed(9)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
    assert (torch.rand(1), random.random()) == due
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32


def test_every_stage_starts_from_one_seed():
    drawn = []
    for _ in range(2):
        with fresh_world():
            drawn.append((torch.rand(2).tolist(), random.random()))
    assert drawn[0] == drawn[1]


# --- tolerance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TOLERANCE)
def test_another_order_of_operations_is_close(kind):
    """Softmax by two formulas, one of them in float64 throughout."""
    x = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)).mul(3).to(kind)
    assert close((x - x.logsumexp(-1, keepdim=True)).exp(), x.double().softmax(-1))
    assert close(x.float().softmax(-1).to(kind), x.double().softmax(-1))


@pytest.mark.parametrize("kind", TOLERANCE)
def test_a_wrong_formula_is_not_close(kind):
    x = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)).to(kind)
    assert not close(x.std(-1, correction=0), x.double().std(-1, correction=1).to(kind) * 1.05)
    assert not close(torch.tensor(1.0, dtype=kind), 1 + 3 * TOLERANCE[kind])


def test_shapes_numbers_and_infinities():
    assert close(1, 1.0) and close([1, 2], torch.tensor([1, 2])) and close(float("inf"), float("inf"))
    assert not close(torch.zeros(1), torch.zeros(1, 1)) and not close(float("nan"), float("nan"))
    assert not close(float("inf"), 1e300) and not close(torch.tensor([1, 2]), [1, 3])
    assert close(torch.tensor([True]), [True]) and close(torch.ones((), requires_grad=True), 1.0)
