"""The figure of a report: points by rubric dimension, and minutes used against minutes planned. Labels in English."""

from typing import Any

from matplotlib.figure import Figure

from course_lib.interview.rounds.outcome import Outcome
from course_lib.interview.rounds.script import TITLES
from course_lib.lesson.figures import COLOURS

ALT = "Left: points earned of those possible in each rubric dimension. Right: minutes used in each round, and planned."


def draw_profile(result: Outcome) -> tuple[Figure, Any]:
    """Two axes: bars of points by dimension inside the outline of what was possible; bars of minutes by round."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    names = list(result.dimensions)[::-1]
    earned = [result.dimensions[name].earned for name in names]
    possible = [result.dimensions[name].possible for name in names]
    left.barh(names, possible, color="white", edgecolor="#555555", label="possible")
    left.barh(names, earned, color=COLOURS[0], label="earned")
    for row, points in enumerate(result.dimensions[name] for name in names):
        left.annotate(
            f"{points.earned} of {points.possible}", (points.possible, row), (4, -3), textcoords="offset points"
        )
    left.set(xlabel="points (0, 1 or 2 an answer)", xlim=(0, 1.35 * max([*possible, 1])))
    rounds = result.rounds[::-1]
    titles = [TITLES[each.kind].en for each in rounds]
    used = [each.seconds / 60 for each in rounds]
    late = [minutes > each.planned for minutes, each in zip(used, rounds, strict=True)]
    bars = right.barh(titles, used, color=[COLOURS[1] if each else COLOURS[2] for each in late])
    for bar, each in zip(bars, late, strict=True):
        bar.set_hatch("//" if each else "")  # so that being late is not told by colour alone
    planned = [each.planned for each in rounds]
    right.plot(planned, titles, "k|", markersize=16, markeredgewidth=2, label="planned")
    right.set(xlabel="minutes used (hatched: more than planned)", xlim=(0, 1.1 * max([*used, *planned])))
    for ax in (left, right):
        ax.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return fig, (left, right)
