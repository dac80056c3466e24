"""No wrong call gives a plausible figure: what a learner gets, in a process without the type checks of conftest.py."""

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from good_calls import ROOMS
from hand_picked_calls import HAND_PICKED

HERE = Path(__file__).parent
AN_ARRAY_OR_A_COLLECTION = re.compile(r"jaxtyping|collections\.abc\.(Sequence|Collection|Mapping)\[")
ELSEWHERE = {
    "attribute_answer": "needs a model of transformers: test_explain_transformers.py",
    "TransformersNames": "the face that captum sees: test_explain_captions.py",
    "TransformersNames.generate": "likewise",
}
INSIDE = {"check_inputs", "prepare", "find_embeddings", "number_regions", "sliding", "stride_regions"}
"""What `attribute` is made of: reached through it, with its own checks in test_explain_bad_input.py."""
TORCH_REFUSES = {("multiclass_hinge", "label -1"), ("multiclass_hinge", "label 99")}
"""A training step takes no look at values that would make an accelerator wait; here torch raises by itself."""


@pytest.fixture(scope="module")
def rows():
    done = subprocess.run([sys.executable, HERE / "bad_calls.py"], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def of(rows, *kinds):
    found = [row for row in rows if row["kind"] in kinds and row["room"] != "hand-picked"]
    assert found
    return found


def public():
    """(name, function) of what a learner may call in the four rooms with arrays or collections."""
    for room in ROOMS:
        package = importlib.import_module(f"course_lib.{room}")
        for each in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{each.name}")
            for name, thing in vars(module).items():
                if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                    continue
                if inspect.isfunction(thing):
                    yield name, thing
                elif inspect.isclass(thing) and not getattr(thing, "_is_protocol", False):
                    inner = [(k, f) for k, f in vars(thing).items() if inspect.isfunction(f) and not k.startswith("_")]
                    yield from ((f"{name}.{key}".removesuffix(".forward"), function) for key, function in inner)


def takes_arrays(function):
    annotations = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
    return any(AN_ARRAY_OR_A_COLLECTION.search(str(annotation)) for annotation in annotations)


def test_every_public_function_that_takes_arrays_or_collections_is_in_the_table():
    here = {call.function.__qualname__.removesuffix(".forward") for calls in ROOMS.values() for call in calls()}
    due = {name for name, function in public() if takes_arrays(function)}
    assert due - here == set(ELSEWHERE) | INSIDE
    assert len(here) > 130


def test_every_wrong_form_is_refused_with_the_argument_and_what_fits(rows):
    """Rank, length, a row that would broadcast, dtype, type, a string for a list. Which are wrong, jaxtyping says."""
    found = of(rows, "form", "strings")
    assert len(found) > 2000
    silent = [row for row in found if not row["harmless"] and not explained(row)]
    assert silent == []


def test_the_advice_of_a_refusal_mends_the_call(rows):
    advised = [row for row in of(rows, "form") if row["mends"] is not None]
    assert len(advised) > 800
    assert [row for row in advised if not row["mends"]] == []


def explained(row):
    what_fits = re.search(" takes | must be ", row["words"])
    return row["refusal"] in ("ValueError", "TypeError") and row["argument"] in row["words"] and what_fits


def test_what_passes_in_a_wrong_form_gives_the_right_figure(rows):
    """Lists and NumPy arrays where numbers are asked for as a tensor or a sequence: nothing else passes."""
    passed = {(row["argument"], row["how"]) for row in of(rows, "form", "strings") if row["refusal"] == ""}
    assert passed == {("weights", "a NumPy array"), ("target", "a list"), ("target", "a NumPy array")}


def test_every_wrong_value_is_refused_or_seen_in_the_result(rows):
    """NaN, labels out of range, no example at all."""
    found = of(rows, "value")
    assert len(found) > 150
    silent = [
        row
        for row in found
        if row["refusal"] != "ValueError" and not row["harmless"] and (row["function"], row["how"]) not in TORCH_REFUSES
    ]
    assert silent == []
    assert all(row["refusal"] for row in found if row["how"].startswith("label "))


def test_metrics_refuse_a_nan_and_say_where(rows):
    """The two that take any metric hand it on: what the mean makes of it is seen."""
    found = [row for row in of(rows, "value") if row["room"] == "metrics" and row["how"] == "a NaN"]
    silent = {
        row["function"] for row in found if not re.match(r"\d+ of \d+ (values|rows) of \w+ (is|are) ", row["words"])
    }
    assert silent == {"subgroup_report"}


@pytest.mark.parametrize("words", HAND_PICKED)
def test_calls_that_once_gave_a_figure(rows, words):
    got = next(row for row in rows if row["room"] == "hand-picked" and row["kind"] == words)
    assert got["refusal"] in ("ValueError", "TypeError") and got["words"].startswith(words), got
