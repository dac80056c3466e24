"""Shapley values of a game small enough to count out, and the interaction that additive values cannot show.

A game gives every coalition a value: here, what a model scores when only those inputs are there. Cost 2^n coalitions.
"""

from collections.abc import Callable
from itertools import combinations
from math import factorial

Game = Callable[[frozenset[int]], float]
MOST_PLAYERS = 16


def shapley_values(game: Game, players: int) -> list[float]:
    """Average of what a player adds, over all orders in which the players can arrive.

        φ_i = Σ_S |S|! (n - |S| - 1)! / n! · (v(S ∪ i) - v(S))      over S without i;   Σ_i φ_i = v(all) - v(none)

    Shapley (1953, doi:10.1515/9781400881970-018). As attribution: Lundberg and Lee (2017, arXiv:1705.07874).
    """
    value = _table(game, players)
    return [
        sum(
            _weight(len(group), players - 1) * (value[group | {player}] - value[group])
            for group in _groups(set(range(players)) - {player})
        )
        for player in range(players)
    ]


def interaction_index(game: Game, players: int, one: int, other: int) -> float:
    """What two players are worth together beyond what each adds alone, averaged over who else is there.

        I_ij = Σ_S |S|! (n - |S| - 2)! / (n - 1)! · (v(S ∪ ij) - v(S ∪ i) - v(S ∪ j) + v(S))

    0 for a sum of functions of one input each; positive for synergy, negative for redundancy. Grabisch and Roubens
    (1999, doi:10.1007/s001820050125).
    """
    if one == other:
        raise ValueError(f"players {one} and {other} are the same; an interaction needs two")
    value = _table(game, players)
    pair = frozenset({one, other})
    return sum(
        _weight(len(group), players - 2)
        * (value[group | pair] - value[group | {one}] - value[group | {other}] + value[group])
        for group in _groups(set(range(players)) - pair)
    )


def _weight(size: int, others: int) -> float:
    """Share of the orders of `others` + 1 in which exactly `size` come before."""
    return factorial(size) * factorial(others - size) / factorial(others + 1)


def _groups(members: set[int]) -> list[frozenset[int]]:
    return [frozenset(group) for size in range(len(members) + 1) for group in combinations(sorted(members), size)]


def _table(game: Game, players: int) -> dict[frozenset[int], float]:
    if not 1 <= players <= MOST_PLAYERS:
        raise ValueError(
            f"{players} players make 2^{players} coalitions; up to {MOST_PLAYERS} are counted out here, "
            "beyond that sample: attribute(..., method='shapley')"
        )
    return {group: float(game(group)) for group in _groups(set(range(players)))}
