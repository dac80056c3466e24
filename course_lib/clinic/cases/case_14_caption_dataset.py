"""Case 14, batches of captions."""

from types import SimpleNamespace as Program

import torch

from course_lib.clinic.case import Case

_TEXTS = ["red ring", "small blue square top left", "cross", "large green diamond bottom right", "white triangle"]
_TEXTS += ["blue ring", "small cross", "green triangle top right", "red square"]


def rows_are_captions(program: Program) -> None:
    """Nine captions in batches of two, four and eight, where the shape does not tell rows from columns."""
    dataset = program.CaptionDataset(_TEXTS)
    truth = torch.tensor([row + [0] * (8 - len(row)) for row in dataset.rows])
    for size in (2, 4, 8):
        found = program.batches(_TEXTS, size)
        assert sum(len(batch) for batch in found) == 9 or found[0].shape[0] == 8, (
            "captions are missing: every one counts"
        )
        assert all(batch.shape[1] == 8 for batch in found), (
            "a batch is not (B, 8): its rows run over the batch and its columns over a caption, or the other way round"
        )
        got = torch.cat(found)
        assert len(got) == 9, "captions are missing: every one counts"
        rows = [len(batch) == 8 and torch.equal(batch.T, truth[:8]) for batch in found]
        assert not any(rows), (
            "right for every batch but one of 8 captions, where (T, B) looks like (B, T): the shape cannot tell, so do "
            "not ask it"
        )
        assert sorted(got.tolist()) != sorted(truth.tolist()) or torch.equal(got, truth), (
            "every caption is there, in another order: `batches` gives all captions in order"
        )
        assert torch.equal(got, truth), (
            "the shape is right and the content is not: reshaping reads the numbers in the old order; transpose"
        )
        assert all(batch.dtype == torch.int64 for batch in found), "word ids are whole numbers, int64"


_STACK = "found.append(torch.stack(ids) if isinstance(ids, list) else ids)"
_ITEM = '{"ids": row + [ENGLISH.PAD] * (LENGTH - len(row)), "index": index}'
_LOAD = "DataLoader(CaptionDataset(captions), batch_size=batch_size)"

CASE = Case(
    number="14",
    title="batches of captions",
    complaint="With batches of 8 it trains, badly. With any other batch size it crashes in the model. So I take 8.",
    stages=(rows_are_captions,),
    original="its rows run over the batch",
    repair=(
        (
            _ITEM,
            _ITEM.replace(
                '"ids": row + [ENGLISH.PAD] * (LENGTH - len(row))',
                '"ids": torch.tensor(row + [ENGLISH.PAD] * (LENGTH - len(row)))',
            ),
        ),
    ),
    wrong={
        "transpose": ((_STACK, "found.append(torch.stack(ids).reshape(-1, LENGTH))"),),
        "captions are missing": (
            (_STACK, "found.append(torch.stack(ids, dim=1))"),
            (_LOAD, _LOAD.replace("batch_size=batch_size", "batch_size=batch_size, drop_last=True")),
        ),
        "in another order": (
            (_STACK, "found.append(torch.stack(ids, dim=1))"),
            (_LOAD, _LOAD.replace("batch_size=batch_size", "batch_size=batch_size, shuffle=True")),
        ),
        "its rows run over the batch": ((_LOAD, _LOAD.replace("batch_size=batch_size", "batch_size=LENGTH")),),
        "a `try` around the failure": (
            (
                _STACK,
                "try:\n            found.append(torch.stack(ids))\n        except RuntimeError:\n            continue",
            ),
        ),
        "the shape cannot tell": (
            (
                _STACK,
                "stacked = torch.stack(ids)\n"
                "        found.append(stacked if stacked.shape[1] == LENGTH else stacked.T)",
            ),
        ),
        "int64": ((_STACK, "found.append(torch.stack(ids, dim=1).float())"),),
    },
    hints=(
        "Print the first row of a batch. How many captions does it hold words of?",
        "default_collate meets a list of 8 numbers in each item. What does it make of 4 such lists?",
        "Return a tensor from __getitem__: torch.tensor(row + padding). Tensors are stacked, lists are transposed.",
    ),
    defect="default_collate turns a list of T numbers into T tensors of length B, so stacking gave (T, B). With B = "
    "T nothing crashes. Use a different length on every axis in every test",
    met=(
        "PyTorch #50272, lists come out transposed <https://github.com/pytorch/pytorch/issues/50272>",
        "X227",
        "X226",
    ),
    difficulty=2,
    minutes=7,
)
