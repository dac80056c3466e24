"""A lesson that `course lab` saves as a page: proofs are folded, their sentences are not, answers wait for a click."""

import re

import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from traitlets.config import Config

from course_lib import lab


def cell(source, printed, *tags):
    output = new_output("stream", name="stdout", text=printed)
    return new_code_cell(source, outputs=[output], metadata={"tags": list(tags)}, execution_count=1)


@pytest.fixture(scope="module")
def page():
    """The page, its style sheets cut away."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A lesson"),
            cell("shown_code()", "shown words"),
            cell("proving_code()", "✓ C00.1 a sentence", "claim"),
            cell("asking_code()", "the answer", "reveal"),
            cell("both_code()", "✓ C00.2 the answer", "claim", "reveal"),
            cell("solving_code()", "✓ passed", "solution"),
        ]
    )
    settings = Config({"HTMLExporter": lab.PAGE})
    body, _ = HTMLExporter(config=settings).from_notebook_node(notebook)
    return re.sub(r"<(style|script)\b.*?</\1>", "", body, flags=re.DOTALL)


def folded(page):
    """What lies in the folds of the page, tags removed."""
    return [re.sub(r"<[^>]+>", "", fold) for fold in re.findall(r"<details>(.*?)</details>", page, re.DOTALL)]


@pytest.mark.parametrize("word", ["proving_code", "the answer", "both_code", "C00.2", "solving_code"])
def test_it_waits_for_a_click(page, word):
    assert sum(word in fold for fold in folded(page)) == (2 if word == "the answer" else 1)


@pytest.mark.parametrize("word", ["shown_code", "shown words", "C00.1 a sentence", "asking_code", "✓ passed"])
def test_it_is_seen_at_once(page, word):
    assert word in re.sub(r"<[^>]+>", "", page) and not any(word in fold for fold in folded(page))


def test_each_fold_says_what_lies_in_it(page):
    said = re.findall(r"<summary[^>]*>(.*?)</summary>", page)
    assert said == [
        "The proof, in code",
        "Show what happened",
        "The proof, in code",
        "Show what happened",
        "A worked solution",
    ]
