import sys
import types

import pytest

from course_lib.training.config import TrainConfig
from course_lib.training.progress import Progress, watcher


def config(**settings):
    return TrainConfig(**{"steps": 9, "log_every": 4, **settings})


def run(progress):
    for step in range(1, 10):
        progress.show({"step": step, "loss": 10.0 / step, "learning_rate": 0.1})
    progress.show_evaluation(9, {"accuracy": 0.75})
    progress.close()


@pytest.fixture
def alone(monkeypatch):
    for name in ("COURSE_STATIC", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    return monkeypatch


@pytest.mark.parametrize(
    ("static", "rank", "terminal", "ipython", "expected"),
    [
        (None, None, False, False, "lines"),
        (None, None, True, False, "bar"),
        (None, None, False, True, "bar"),
        ("1", None, True, True, "none"),
        (None, "0", False, False, "lines"),
        (None, "1", True, False, "none"),
    ],
)
def test_who_is_watching(alone, static, rank, terminal, ipython, expected):
    for name, value in (("COURSE_STATIC", static), ("RANK", rank)):
        if value is not None:
            alone.setenv(name, value)
    alone.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    sys.modules["IPython"].get_ipython = lambda: object() if ipython else None
    assert watcher(config()) == expected
    assert watcher(config(progress="bar")) == ("none" if rank == "1" else "bar")


def test_a_log_gets_a_line_per_interval(capsys):
    run(Progress(config(progress="lines"), 9))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 4/9", "step 8/9", "step 9/9", "step 9/9"]
    assert "loss 2.5  learning_rate 0.1" in lines[0] and "steps/s" in lines[0] and "accuracy 0.75" in lines[3]


def test_a_built_notebook_gets_nothing(capsys, alone):
    alone.setenv("COURSE_STATIC", "1")
    run(Progress(config(), 9))
    assert capsys.readouterr() == ("", "")


def test_a_person_gets_a_bar_that_goes_away(capsys):
    progress = Progress(config(progress="bar"), 9)
    progress.start_at(5)
    assert progress.bar.n == 5
    progress.tick(), progress.tick()
    progress.show({"step": 8, "loss": 1.5, "learning_rate": 0.1})
    assert progress.bar.n == 7 and "loss=1.5" in progress.bar.postfix
    progress.close()
    assert capsys.readouterr().out == ""


class Events:
    def __init__(self, directory):
        self.directory, self.scalars, self.closed = directory, [], False

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def close(self):
        self.closed = True


def test_tensorboard_gets_every_figure_at_its_step(alone, tmp_path):
    alone.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Events))
    progress = Progress(config(progress="none", tensorboard=True), 9, tmp_path)
    run(progress)
    events = progress.events
    assert events.directory == tmp_path / "tensorboard" and events.closed
    assert ("loss", 10.0 / 3, 3) in events.scalars and ("accuracy", 0.75, 9) in events.scalars
    assert len(events.scalars) == 9 * 2 + 1


def test_tensorboard_without_a_directory_or_the_package_is_refused(alone, tmp_path):
    with pytest.raises(ValueError, match="tensorboard=True needs run_dir="):
        Progress(config(progress="none", tensorboard=True), 9)
    alone.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboard"):
        Progress(config(progress="none", tensorboard=True), 9, tmp_path)
