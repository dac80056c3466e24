"""Exercise 07.4: choose an operator from five accuracies."""

from typing import NamedTuple

import torch

from course_lib.lesson.exercises import Exercise

FIELDS = ("image", "text", "additive", "joint", "chance")
REPORTS = {
    "copy": ((1.00, 1.00, 1.00, 1.00, 0.5), "one modality"),
    "third decimal": ((0.90, 0.60, 0.901, 0.903, 0.5), "one modality"),
    "text alone": ((0.55, 0.92, 0.92, 0.91, 0.5), "one modality"),
    "AND": ((0.75, 0.76, 1.00, 1.00, 0.5), "late fusion"),
    "ten classes": ((0.62, 0.58, 0.82, 0.82, 0.1), "late fusion"),
    "XOR": ((0.49, 0.51, 0.50, 1.00, 0.5), "interaction"),
    "mostly additive": ((0.60, 0.61, 0.74, 0.88, 0.1), "interaction"),
    "nothing learnt": ((0.10, 0.11, 0.10, 0.11, 0.1), "collect better data"),
    "joint training failed": ((0.70, 0.55, 0.90, 0.72, 0.5), "late fusion"),
    "joint at chance": ((0.70, 0.55, 0.69, 0.50, 0.5), "one modality"),
}


def _report(name):
    return dict(zip(FIELDS, REPORTS[name][0], strict=True))


def _verdict(pick, name):
    return pick(**_report(name)) == REPORTS[name][1]


def pick_knows_the_three_answers(pick_operator):
    got = pick_operator(**_report("XOR"))
    allowed = {right for _, right in REPORTS.values()}
    assert got in allowed, f"answer one of {sorted(allowed)}, got {got!r}"
    assert got == "interaction", "XOR: additive is at chance and joint is not; only an interaction explains that"


def pick_does_not_call_and_an_interaction(pick_operator):
    for name in ("AND", "ten classes"):
        assert _verdict(pick_operator, name), f"{name}: additive already reaches joint; late fusion is enough"


def pick_prefers_one_modality(pick_operator):
    assert _verdict(pick_operator, "text alone"), (
        "text alone: the text reaches the best of the four; the one modality may be either of the two"
    )
    assert _verdict(pick_operator, "copy"), "copy: one modality alone reaches joint; do not pay for the other"
    assert _verdict(pick_operator, "third decimal"), "a gain of 0.003 is noise; use `tolerance`"


def pick_asks_about_chance(pick_operator):
    assert _verdict(pick_operator, "nothing learnt"), "joint stands at chance: no operator helps, collect better data"
    assert _verdict(pick_operator, "mostly additive"), "additive 0.74 and joint 0.88: the last 0.14 are interaction"


def pick_doubts_the_joint_model(pick_operator):
    for name in ("joint training failed", "joint at chance"):
        assert _verdict(pick_operator, name), (
            f"{name}: another model is better than joint; the best of the four is the ceiling"
        )


def pick_counts_the_tolerance_in(pick_operator):
    got = pick_operator(**_report("third decimal"), tolerance=0.001)
    assert got == "interaction", "with tolerance=0.001 a gain of 0.002 is no noise: use the argument, not 0.02"
    got = pick_operator(image=0.5, text=0.5, additive=0.5, joint=0.75, chance=0.125, tolerance=0.25)
    assert got == "one modality", "a difference of exactly `tolerance` is noise too, whatever its value: <=, not <"


def pick_is_right_for_any_report(pick_operator):
    """Eighths, so that no comparison hangs on rounding."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(300):
        image, text, additive, joint, chance = (torch.randint(1, 9, (5,), generator=draw) / 8).tolist()
        for tolerance in (0.0, 0.125, 0.25):
            report = {"image": image, "text": text, "additive": additive, "joint": joint, "chance": chance}
            right = _pick(**report, tolerance=tolerance)
            assert pick_operator(**report, tolerance=tolerance) == right, (
                f"image {image}, text {text}, additive {additive}, joint {joint}, chance {chance} and tolerance "
                f"{tolerance}: {right}, because the best of the four is {max(image, text, additive, joint)}"
            )


def _pick(image, text, additive, joint, chance, tolerance=0.02):
    best = max(image, text, additive, joint)
    if best <= chance + tolerance:
        return "collect better data"
    if max(image, text) >= best - tolerance:
        return "one modality"
    return "late fusion" if additive >= best - tolerance else "interaction"


def _pick_with_joint_as_ceiling(image, text, additive, joint, chance, tolerance=0.02):
    if joint <= chance + tolerance:
        return "collect better data"
    if joint <= max(image, text) + tolerance:
        return "one modality"
    return "late fusion" if additive >= joint - tolerance else "interaction"


def _pick_strictly(image, text, additive, joint, chance, tolerance=0.02):
    best = max(image, text, additive, joint)
    if best < chance + tolerance:
        return "collect better data"
    if max(image, text) > best - tolerance:
        return "one modality"
    return "late fusion" if additive > best - tolerance else "interaction"


def _pick_without_additive(image, text, additive, joint, chance, tolerance=0.02):
    verdict = _pick(image, text, additive, joint, chance, tolerance)
    return "interaction" if verdict == "late fusion" else verdict


def _pick_without_chance(image, text, additive, joint, chance, tolerance=0.02):
    if joint <= max(image, text) + tolerance:
        return "one modality"
    return "late fusion" if additive >= joint - tolerance else "interaction"


def _pick_by_chance(image, text, additive, joint, chance, tolerance=0.02):
    verdict = _pick(image, text, additive, joint, chance, tolerance)
    return "late fusion" if verdict == "interaction" and additive > chance + tolerance else verdict


def _pick_by_cost(image, text, additive, joint, chance, tolerance=0.02):
    scores = {"one modality": max(image, text), "late fusion": additive, "interaction": joint}
    ceiling = max(scores.values())
    if not ceiling - chance > tolerance:
        return "collect better data"
    return next(name for name, score in scores.items() if ceiling - score <= tolerance)


class _Report(NamedTuple):
    image: float
    text: float
    additive: float
    joint: float
    chance: float
    tolerance: float

    @property
    def answer(self):
        best = sorted(self[:4])[-1]
        near = [best <= score + self.tolerance for score in self[:4]]
        if best <= self.chance + self.tolerance:
            return "collect better data"
        if any(near[:2]):
            return "one modality"
        return ("interaction", "late fusion")[near[2]]


pick_operator = Exercise(
    id="07.4 pick_operator",
    task="Write pick_operator(image, text, additive, joint, chance, tolerance=0.02): five accuracies on one validation "
    "set -> 'one modality', 'late fusion', 'interaction' or 'collect better data': the cheapest that is at most "
    "`tolerance` below the best of the four; better data if none is more than `tolerance` above chance.",
    stages=(
        pick_knows_the_three_answers,
        pick_does_not_call_and_an_interaction,
        pick_prefers_one_modality,
        pick_asks_about_chance,
        pick_doubts_the_joint_model,
        pick_counts_the_tolerance_in,
        pick_is_right_for_any_report,
    ),
    reference=_pick,
    mutants={
        "answer one of": lambda **report: "gated fusion",
        "only an interaction explains that": lambda **report: "late fusion",
        "late fusion is enough": _pick_without_additive,
        "do not pay for the other": lambda **r: (
            "one modality" if r["joint"] < max(r["image"], r["text"]) else _pick(**{**r, "image": 0, "text": 0})
        ),
        "a gain of 0.003 is noise": lambda **report: _pick(**report, tolerance=0.0),
        "joint stands at chance": _pick_without_chance,
        "the last 0.14 are interaction": _pick_by_chance,
        "the best of the four is the ceiling": _pick_with_joint_as_ceiling,
        "use the argument, not 0.02": lambda **report: _pick(**{**report, "tolerance": 0.02}),
        "<=, not <": _pick_strictly,
        "may be either of the two": lambda **r: (
            "late fusion" if (found := _pick(**r)) == "one modality" and r["text"] > r["image"] + 0.1 else found
        ),
        "because the best of the four is": lambda **r: (
            "one modality" if _pick(**r) == "late fusion" and r["joint"] < r["text"] < r["additive"] else _pick(**r)
        ),
    },
    alternatives={
        "a loop from the cheapest to the dearest": _pick_by_cost,
        "a class with a property": lambda image, text, additive, joint, chance, tolerance=0.02: (
            _Report(image, text, additive, joint, chance, tolerance).answer
        ),
    },
    hints=(
        "Go from the cheapest answer to the dearest. What does each have to reach to be enough?",
        "The best of the four is the ceiling. Compare it with chance, then with one modality, then with additive.",
        "Every comparison carries the tolerance: max(image, text) >= best - tolerance means one modality is enough.",
    ),
    difficulty=2,
    minutes=10,
)
