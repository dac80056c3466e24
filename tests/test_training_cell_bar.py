"""The bar of a notebook, in a real kernel: what reaches the page, how often, and what the saved file keeps of it."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from course_lib.training.cell_bar import COLUMNS, CellBar, CellLine

SETUP = """
import torch
from torch import nn
from course_lib.training import cell_bar
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
cell_bar.PATIENCE = 0.0  # as on a machine where every run takes long

DATA = torch.randn(64, 3), torch.randn(64, 1)

def train(steps=60, loss=lambda model, batch: (model(batch[0]) - batch[1]).square().mean(), **settings):
    config = TrainConfig(steps=steps, batch_size=16, log_every=10, **settings)
    evaluate = lambda model: {"mean_of_all_weights": sum(p.mean() for p in model.parameters())}
    return fit(nn.Linear(3, 1), DATA, loss, config, evaluate)
"""
CELLS = {
    "forty": "for seed in range(40):\n    train(seed=seed, evaluate_every=2)\nprint('after')",
    "error": "def explode(model, batch):\n    raise OSError('the data are gone')\ntrain()\ntrain(loss=explode)",
    "bad loss": "train(loss=lambda model, batch: model(batch[0]).mean() * float('nan'))",
    "interrupt": "import _thread\n"
    "def interrupted(model, batch):\n    _thread.interrupt_main()\n    return model(batch[0]).mean()\n"
    "print(train(loss=interrupted).stopped)",
    "short": "cell_bar.PATIENCE = 60.0\ntrain();",
    "memory": "cell_bar.PATIENCE = 0.0\n"
    "def hungry(model, batch):\n"
    "    if len(batch[0]) > 8:\n        raise torch.OutOfMemoryError('simulated')\n"
    "    return model(batch[0]).mean()\n"
    "train(loss=hungry, micro_batch_size='auto');",
    "lines": "train(progress='lines', steps=20);",
}


class Watched(NotebookClient):
    """Keeps every message that a page would have to draw, by the cell that it belongs to."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("stream", "display_data", "update_display_data", "execute_result", "error"):
            self.seen.setdefault(cell_index, []).append((msg["msg_type"], msg["content"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The notebook after a run in a kernel that nothing tells to be static, and the messages of each cell."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (SETUP, *CELLS.values())]
    )
    client = Watched(notebook, timeout=300, allow_errors=True, coalesce_streams=True, kernel_name="python3")
    client.seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_STATIC", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
        client.execute()
    nbformat.validate(notebook)
    assert notebook.cells[0].outputs == []
    return {
        name: (notebook.cells[index].outputs, client.seen.get(index, [])) for index, name in enumerate(CELLS, start=1)
    }


def bars(outputs):
    return [output for output in outputs if output.output_type == "display_data"]


@pytest.mark.parametrize("name", CELLS)
def test_nothing_goes_to_stderr_and_no_widget_is_left(page, name):
    outputs, _ = page[name]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "widget" not in json.dumps(outputs)


def test_forty_runs_of_a_cell_share_one_line_that_is_gone_afterwards(page):
    outputs, seen = page["forty"]
    assert [output.output_type for output in outputs] == ["display_data", "stream"]
    assert outputs[0].data == {} and outputs[1].text == "after\n"
    shown = [content["data"]["text/plain"] for kind, content in seen if content.get("data")]
    assert all(len(text) <= COLUMNS and "step/s" in text for text in shown)
    assert any("mean_of_all_weights=" in text for text in shown)  # what `evaluate` said stands in the bar


def test_forty_runs_measured_every_second_step_do_not_flood_the_page(page):
    _, seen = page["forty"]
    assert len(seen) < 400  # of 2,400 steps and 1,200 measurements; at most four a second, and one as a run ends


@pytest.mark.parametrize("name", ["error", "bad loss", "interrupt"])
def test_a_run_that_breaks_off_takes_its_line_away(page, name):
    outputs, seen = page[name]
    assert [output.data for output in bars(outputs)] == [{}]
    assert any(content.get("data") for _, content in seen)  # it had been there
    last = outputs[-1]
    expected = {"error": "the data are gone", "bad loss": "the loss is nan", "interrupt": "interrupted after step 1"}
    assert expected[name] in (last.text if last.output_type == "stream" else last.evalue)


def test_a_short_run_shows_nothing_at_all(page):
    assert page["short"] == ([], [])


def test_what_a_person_must_know_is_a_plain_line(page):
    outputs, _ = page["memory"]
    lines = [output.text for output in outputs if output.output_type == "stream"]
    assert lines == ["out of memory: 8 examples per pass from here on instead of 16, same batch_size\n"]
    assert [output.data for output in bars(outputs)] == [{}]


def test_lines_that_were_asked_for_are_black(page):
    outputs, _ = page["lines"]
    assert [output.name for output in outputs] == ["stdout"]
    assert [line.split("  ")[0] for line in outputs[0].text.splitlines()] == ["step 10/20", "step 20/20", "step 20/20"]


class Shell:
    """A kernel's shell as far as the bar sees it."""

    def __init__(self):
        self.request, self.events, self.registered = "a", self, []

    def get_parent(self):
        return {"header": {"msg_id": self.request}}

    def register(self, event, function):
        self.registered.append((event, function))

    def unregister(self, event, function):
        self.registered.remove((event, function))


class Handle:
    """What `display` gives back; keeps all that was ever shown."""

    def __init__(self, first, **_):
        self.shown = [first]

    def update(self, data, *, raw):
        self.shown.append(data)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("course_lib.training.cell_bar.time.monotonic", lambda: now[0])
    monkeypatch.setattr("IPython.display.display", Handle)
    monkeypatch.setattr(CellLine, "running", None)
    return now


def test_the_next_cell_opens_a_line_of_its_own(clock):
    shell = Shell()
    first = CellBar(9, shell)
    assert CellBar(9, shell).line is first.line
    shell.request = "b"
    assert CellBar(9, shell).line is not first.line


def test_patience_counts_from_the_first_run_of_the_cell(clock):
    shell = Shell()
    one = CellBar(9, shell)
    one.update(), one.close()
    clock[0] += 1.1
    two = CellBar(9, shell)
    two.update()
    assert two.line.handle is not None and len(two.line.handle.shown) == 1


def test_updates_keep_their_pace(clock):
    bar = CellBar(5000, Shell())
    for _ in range(4000):  # four seconds of a thousand steps each
        clock[0] += 0.001
        bar.update()
    assert 10 <= len(bar.line.handle.shown) <= 13  # from the first second on, one every quarter


def test_the_line_ends_with_the_cell_and_opens_anew_in_it_if_need_be(clock):
    shell = Shell()
    bar = CellBar(9, shell)
    clock[0] += 2
    bar.update()
    ((event, clear),) = shell.registered
    clear()
    assert event == "post_execute" and shell.registered == [] and bar.line.handle.shown[-1] == {}
    assert CellBar(9, shell).line is not bar.line


def test_a_resumed_run_has_the_rate_of_its_own_steps(clock):
    bar = CellBar(1000, Shell())
    bar.initial = 900
    bar.update(900)
    clock[0] += 10
    bar.update(50)
    assert "950/1000" in str(bar) and "5.00step/s" in str(bar)
