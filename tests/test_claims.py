import re
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.lesson.claims import ClaimFailed, claim


def test_a_true_claim_prints_one_line(capsys):
    claim("C00.1", "Two plus two is four", 2 + 2 == 4, measured="4")
    assert capsys.readouterr().out == "✓ C00.1  Two plus two is four\n         [measured 4]\n"


@pytest.mark.parametrize("condition", [False, np.bool_(False), torch.tensor(False), torch.tensor([1.0]) > 2])
def test_a_false_claim_raises_with_the_measurement(condition):
    with pytest.raises(ClaimFailed, match=r"C00\.1  Water is dry: does not hold here  \[measured 0\.97\]"):
        claim("C00.1", "Water is dry", condition, measured="0.97")


@pytest.mark.parametrize("condition", [0.51, 1, "yes", np.float64(1.0), torch.ones(1), [True]])
def test_a_number_is_not_a_condition(condition):
    with pytest.raises(TypeError, match="not a bool; compare it with something"):
        claim("C00.1", "Numbers are always true", condition)


def test_several_conditions_at_once_are_refused():
    with pytest.raises((RuntimeError, ValueError)):
        claim("C00.1", "All of them", torch.tensor([True, False]))


def test_a_closing_bracket_in_the_figures_is_refused():
    with pytest.raises(ValueError, match="ends the masked part"):
        claim("C00.1", "Lists", True, measured="[0.1, 0.2]")


def test_the_mask_hides_the_figures_and_nothing_else(capsys):
    masks = ConfigParser()
    masks.read(Path(__file__).with_name("nbval.cfg"), encoding="utf-8")
    mask, replacement = masks["measured"]["regex"], masks["measured"]["replace"]
    claim("C00.1", "Same sentence", True, measured="0.51")
    claim("C00.1", "Same sentence", True, measured="0.49, 3 seeds")
    claim("C00.1", "Another sentence", True, measured="0.51")
    lines = re.sub(mask, replacement, capsys.readouterr().out).splitlines()
    assert lines[:2] == lines[2:4] != lines[4:6] and len(lines) == 6


def test_long_figures_are_masked_over_several_lines(capsys):
    masks = ConfigParser()
    masks.read(Path(__file__).with_name("nbval.cfg"), encoding="utf-8")
    claim("C00.1", "Many", True, measured=", ".join(f"seed {n}: {n / 7:.3f}" for n in range(20)))
    claim("C00.1", "Many", True, measured="one")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    first, second = re.sub(masks["measured"]["regex"], "[measured]", printed).split("✓")[1:]
    assert first == second
