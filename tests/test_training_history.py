import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402

from course_lib.training.history import History  # noqa: E402

ROWS = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "accuracy": 0.5}, {"step": 3, "loss": 1.5}]


def test_columns_are_named_and_know_their_steps():
    history = History(list(ROWS))
    assert history["loss"] == [3.0, 2.0, 1.5] and history.steps("loss") == [1, 2, 3]
    assert history["accuracy"] == [0.5] and history.steps("accuracy") == [2]
    assert history.columns == ["step", "loss", "accuracy"] and len(history) == 3
    assert history.final == {"step": 3, "loss": 1.5, "accuracy": 0.5}
    assert [row["step"] for row in history] == [1, 2, 3]


def test_an_unknown_column_names_those_there_are():
    with pytest.raises(KeyError, match="no column 'acc'; this history has step, loss, accuracy"):
        History(list(ROWS))["acc"]


def test_the_plot_shows_the_figures_over_the_steps():
    fig, ax = History(list(ROWS)).plot("loss", "accuracy")
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.get_lines()}
    assert lines == {"loss": ([1, 2, 3], [3.0, 2.0, 1.5]), "accuracy": ([2], [0.5])}
    assert ax.get_xlabel() == "optimiser step" and ax.get_legend() is not None
    plt.close(fig)


def test_the_plot_goes_where_it_is_told():
    fig, axes = plt.subplots(1, 2)
    assert History(list(ROWS)).plot(ax=axes[1]) == (fig, axes[1])
    assert not axes[0].get_lines() and len(axes[1].get_lines()) == 1
    plt.close(fig)


def test_a_short_run_says_so():
    assert "stopped: interrupted" in repr(History(list(ROWS), stopped="interrupted after step 3"))
    assert "stopped" not in repr(History(list(ROWS)))
