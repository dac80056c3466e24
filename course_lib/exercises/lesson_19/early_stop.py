"""Exercise 19.4: early stopping."""

import random

import torch

from course_lib.lesson.exercises import Exercise


def _stops(early_stop, losses, patience, min_delta, expected, advice):
    got = early_stop(losses, patience, min_delta)
    assert got == expected, f"losses {losses}, patience {patience}, min_delta {min_delta}: {advice}, got {got}"


def stop_returns_an_index(early_stop):
    _stops(early_stop, [0.9, 0.8, 0.7], 2, 0.0, 2, "the last measurement is the best, so return its index")


def stop_goes_back(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 4.5], 2, 0.0, 1, "the run ends at the last one; go back to the best")


def stop_waits_for_patience(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 2.0, 2.5], 2, 0.0, 3, "one bad measurement is no reason with patience 2")
    _stops(early_stop, [5.0, 6.0, 4.0, 6.0, 3.0], 2, 0.0, 4, "an improvement starts the waiting again")


def stop_does_not_look_ahead(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 4.0, 1.0], 2, 0.0, 1, "the run was over before the last measurement")


def stop_asks_for_a_real_gain(early_stop):
    _stops(early_stop, [5.0, 3.0, 3.0, 3.0, 1.0], 2, 0.0, 1, "a tie is no improvement")
    _stops(early_stop, [5.0, 5.2, 5.4, 5.6], 2, 0.5, 0, "worse is never better: the sign of min_delta")
    _stops(early_stop, [5.0, 4.9, 4.8, 4.7], 2, 0.5, 0, "gains below min_delta do not count")
    _stops(early_stop, [5.0, 4.7, 5.2, 4.4], 4, 0.5, 3, "compare with the last best, not with the lowest loss")
    _stops(early_stop, [5.0, 4.7, 4.4, 4.1], 3, 0.5, 2, "small gains add up: compare with the best, not the previous")


def stop_is_right_for_any_run(early_stop):
    """Halves, so that no comparison hangs on rounding."""
    draw = random.Random(0)
    for _ in range(300):
        losses = [draw.randint(0, 12) / 2 for _ in range(draw.randint(1, 12))]
        patience, min_delta = draw.randint(1, 4), draw.choice([0.0, 0.5, 1.0])
        _stops(
            early_stop, losses, patience, min_delta, _early_stop(losses, patience, min_delta), "walk through it by hand"
        )


def _early_stop(losses, patience, min_delta):
    return _stop_with(losses, patience, min_delta)


def _stop_with(losses, patience, min_delta, resets=True, better=None, back=True):
    better = (lambda now, best: losses[now] < losses[best] - min_delta) if better is None else better
    best = waited = 0
    for now in range(1, len(losses)):
        if better(now, best):
            best, waited = now, 0 if resets else waited
        else:
            waited += 1
        if waited >= patience:
            break
    return best if back else now


def _previous(losses, patience, min_delta):
    return _stop_with(losses, patience, min_delta, better=lambda now, best: losses[now] < losses[now - 1] - min_delta)


def _stop_by_while(losses, patience, min_delta):
    best, now = 0, 1
    while now < len(losses) and now - best <= patience:
        if losses[best] - losses[now] > min_delta:
            best = now
        now += 1
    return best


def _stop_by_scan(losses, patience, min_delta):
    records = [0]  # places of the best so far
    for now, loss in enumerate(losses):
        if now - records[-1] > patience:
            break
        records += [now] if loss + min_delta < losses[records[-1]] else []
    return torch.tensor(records)[-1].item()


early_stop = Exercise(
    id="19.4 early_stop",
    task="Write early_stop(losses, patience, min_delta): validation losses, lower is better -> index to go back to. "
    "A loss is a new best if it lies more than min_delta below the last best; the first is the first best. Give up "
    "after `patience` losses in a row without a new best.",
    stages=(
        stop_returns_an_index,
        stop_goes_back,
        stop_waits_for_patience,
        stop_does_not_look_ahead,
        stop_asks_for_a_real_gain,
        stop_is_right_for_any_run,
    ),
    reference=_early_stop,
    mutants={
        "return its index": lambda losses, patience, min_delta: losses[_stop_with(losses, patience, min_delta)],
        "go back to the best": lambda *case: _stop_with(*case, back=False),
        "one bad measurement": lambda losses, patience, min_delta: _stop_with(losses, 1, min_delta),
        "starts the waiting again": lambda *case: _stop_with(*case, resets=False),
        "the run was over": lambda losses, patience, min_delta: losses.index(min(losses)),
        "gains below min_delta": lambda losses, patience, min_delta: _stop_with(losses, patience, 0.0),
        "a tie is no improvement": lambda losses, patience, min_delta: _stop_with(
            losses, patience, min_delta, better=lambda now, best: losses[now] <= losses[best] - min_delta
        ),
        "the sign of min_delta": lambda losses, patience, min_delta: _stop_with(losses, patience, -min_delta),
        "not the previous": _previous,
        "not with the lowest": lambda losses, patience, min_delta: _stop_with(
            losses, patience, min_delta, better=lambda now, best: losses[now] < min(losses[:now]) - min_delta
        ),
        "walk through it by hand": lambda losses, patience, min_delta: _stop_with(losses[:6], patience, min_delta),
    },
    alternatives={
        "a while loop": _stop_by_while,
        "the first place where waiting is over": _stop_by_scan,
    },
    hints=(
        "Walk through the losses once. What must you remember besides the best index?",
        "Better means losses[now] < losses[best] - min_delta; now - best is how long you have waited.",
        "for now, loss in enumerate(losses): if better, best = now; if now - best >= patience: break; return best.",
    ),
    difficulty=2,
    minutes=10,
)
