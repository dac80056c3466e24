"""Case 05, patches into the seats of image placeholders."""

from types import SimpleNamespace as Program

import torch

from course_lib.clinic.case import Case


def seats_in_order(program: Program) -> None:
    """Three patches, placeholders at other places in each row, one of them split by a word."""
    ids = torch.tensor([[1, 3, 3, 3, 4, 5], [1, 4, 5, 3, 3, 3], [3, 1, 3, 4, 5, 3]])
    words = torch.arange(6.0).view(1, 6, 1).expand(3, 6, 2) + 100
    patches = torch.arange(18.0).view(3, 3, 2)
    merged = program.merge(words, ids, patches)
    assert merged.shape == (3, 6, 2), "the sentence keeps its length: every placeholder gives its seat to one patch"
    assert torch.equal(merged[ids != 3], words[ids != 3]), "a word lost its seat; only placeholders give theirs away"
    first, last = merged[0, 1:4], merged[1, 3:6]
    assert not torch.equal(first, patches[0].roll(-1, dims=0)), "all patches are there, but each one seat too early"
    assert torch.equal(first[0], patches[0, 0]), "the first placeholder does not get the first patch: count from 0"
    assert torch.equal(first, patches[0]), "the first patch is right now, but not every seat has a patch of its own"
    assert torch.equal(last, patches[1]), "right where the image stands after the first word, wrong elsewhere"
    taken = torch.stack([merged[2, 0], merged[2, 2], merged[2, 5]])
    assert torch.equal(taken, patches[2]), "placeholders need not stand side by side; count them one by one"


_WHICH = "which = seats.cumsum(dim=1).clamp(max=patches.shape[1] - 1)  # the patch for each seat"
_CHOSEN = "chosen = patches.gather(1, which[..., None].expand(-1, -1, patches.shape[2]))"

CASE = Case(
    number="05",
    title="patches into the seats of image placeholders",
    complaint="Users say the model is blind at the top left, and only there. The camera is fine.",
    stages=(seats_in_order,),
    original="count from 0",
    repair=((_WHICH, "which = (seats.cumsum(dim=1) - 1).clamp(min=0)"),),
    wrong={
        "not every seat has a patch of its own": ((_WHICH, "which = (seats.cumsum(dim=1) - 2).clamp(min=0)"),),
        "each one seat too early": ((_WHICH, "which = seats.cumsum(dim=1) % patches.shape[1]"),),
        "right where the image stands after the first word": (
            (_WHICH, "which = (torch.arange(ids.shape[1]).expand_as(ids) - 1).clamp(0, patches.shape[1] - 1)"),
        ),
        "need not stand side by side": (
            (
                _WHICH,
                "start = seats.int().argmax(dim=1, keepdim=True)\n"
                "    which = (torch.arange(ids.shape[1]) - start).clamp(0, patches.shape[1] - 1)",
            ),
        ),
        "`merge` changed its argument `words`": (
            (f"    {_WHICH}\n", "    words[seats] = patches.flatten(0, 1)\n    return words\n"),
            (f"    {_CHOSEN}\n    return torch.where(seats[..., None], chosen, words)\n", ""),
        ),
        "the sentence keeps its length": (
            (_CHOSEN, "return torch.cat([patches, words], dim=1)"),
            ("    return torch.where(seats[..., None], chosen, words)\n", ""),
        ),
        "a `try` around the failure": (
            (
                f"    {_CHOSEN}",
                f"    try:\n        {_CHOSEN}\n    except RuntimeError:\n        return words",
            ),
        ),
    },
    hints=(
        "Which patch does the first seat get? And why does the line need a clamp?",
        "cumsum counts 1, 2, 3, ...; an index counts from 0. The clamp hides that the last one is out of range.",
        (
            "which = (seats.cumsum(dim=1) - 1).clamp(min=0); the clamp is for places before the first seat, which "
            "are not used."
        ),
    ),
    defect="off by one: patch k sat in the seat of patch k - 1, the first was lost, the last came twice, and a clamp "
    "kept the index in range. A clamp on an index hides a wrong index",
    met=(
        (
            "transformers, LLaVA: image tokens and image features must match "
            "<https://huggingface.co/docs/transformers/model_doc/llava>"
        ),
    ),
    difficulty=2,
    minutes=8,
)
