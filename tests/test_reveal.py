"""The fold over an answer: shown for cells tagged `reveal` while a bet is open, and by no other cell."""

from types import SimpleNamespace

import pytest

from course_lib.lesson import reveal


class Shell:
    """A kernel's shell, as far as events and the message of the running cell go."""

    def __init__(self):
        self.callbacks, self.tags = {"pre_run_cell": []}, []
        self.events = SimpleNamespace(
            callbacks=self.callbacks,
            register=lambda event, each: self.callbacks[event].append(each),
            unregister=lambda event, each: self.callbacks[event].remove(each),
        )

    def get_parent(self):
        return {"metadata": {"tags": self.tags} if self.tags else {}}

    def run(self, *tags):
        self.tags = list(tags)
        for each in self.callbacks["pre_run_cell"]:
            each(None)


@pytest.fixture
def kernel(monkeypatch):
    shell, shell.shown = Shell(), []
    monkeypatch.setattr(reveal, "get_ipython", lambda: shell)
    monkeypatch.setattr(reveal, "display", lambda each: shell.shown.append(each.data))
    return shell


def test_only_what_is_tagged_is_folded(kernel):
    reveal.fold_while(lambda: True)
    kernel.run()
    kernel.run("claim")
    assert kernel.shown == []
    kernel.run("claim", "reveal")
    assert kernel.shown == [reveal.FOLD]


def test_nothing_is_folded_once_every_bet_is_placed(kernel):
    open_bets = ["C90.1"]
    reveal.fold_while(lambda: bool(open_bets))
    open_bets.clear()
    kernel.run("reveal")
    assert kernel.shown == []


def test_many_bets_fold_once(kernel):
    for _ in range(3):
        reveal.fold_while(lambda: True)
    kernel.run("reveal")
    assert kernel.shown == [reveal.FOLD]


def test_other_callbacks_stay(kernel):
    calls = []
    kernel.events.register("pre_run_cell", calls.append)
    reveal.fold_while(lambda: True)
    reveal.fold_while(lambda: True)
    kernel.run("reveal")
    assert calls == [None]


def test_programs_without_tags_and_scripts_show_everything(monkeypatch):
    assert reveal.tags_of_running_cell(SimpleNamespace()) == []
    assert reveal.tags_of_running_cell(SimpleNamespace(get_parent=lambda: {"metadata": {"cellId": "x"}})) == []
    monkeypatch.setattr(reveal, "get_ipython", lambda: None)
    reveal.fold_while(lambda: True)
