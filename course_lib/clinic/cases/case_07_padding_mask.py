"""Case 07, attention over padded sentences."""

from types import SimpleNamespace as Program

import torch
from torch.nn import functional as F

from course_lib.clinic.case import Case


@torch.no_grad()
def padding_is_not_read(program: Program) -> None:
    """Padding has no effect, words have one, and the other rows have none."""
    model = program.Reader()
    ids = torch.tensor([[9, 7, 12, 0, 0, 0], [8, 10, 11, 13, 14, 0]])
    scores = model(ids)
    assert torch.isfinite(scores).all(), "the scores are not finite: a row of the mask hides every word"
    other = ids.clone()
    other[1, 2] = 20
    assert not torch.allclose(model(other)[1], scores[1], atol=1e-6), "a word has no effect: real words are hidden"
    longer = model(F.pad(ids, (0, 6)))
    loud = program.Reader()
    loud.load_state_dict(model.state_dict())
    loud.embed.weight[0] = 50.0
    assert torch.allclose(loud(ids), scores, atol=1e-5), (
        "another vector for PAD changes the scores: padding is read; True in key_padding_mask means leave this one out"
    )
    assert torch.allclose(longer, scores, atol=1e-5), (
        "more padding, other scores: its vector is 0 now, but attention still spends weight on it"
    )
    assert torch.allclose(model(ids[:1, :3]), scores[:1], atol=1e-5), (
        "alone and without padding a sentence scores differently"
    )


_CALL = "words, words, key_padding_mask=real)"

CASE = Case(
    number="07",
    title="attention over padded sentences",
    complaint="It stays at chance. I even masked the padding!",
    stages=(padding_is_not_read,),
    original="real words are hidden",
    repair=((_CALL, "words, words, key_padding_mask=~real)"),),
    wrong={
        "padding is read": ((_CALL, "words, words)"),),
        "attention still spends weight on it": (
            (_CALL, "words, words)"),
            ("words = self.embed(ids)", "words = self.embed(ids) * (ids != PAD)[..., None]"),
        ),
        "NaN painted over": (("return self.head(read[:, 0])", "return self.head(torch.nan_to_num(read[:, 0]))"),),
        "the scores are not finite": ((_CALL, "words, words, key_padding_mask=torch.ones_like(real))"),),
    },
    hints=(
        "Change one real word. Do the scores change?",
        "Two conventions: in scaled_dot_product_attention True means read it, in nn.MultiheadAttention True means ...",
        "key_padding_mask=~real",
    ),
    defect="the mask was upside down. nn.MultiheadAttention leaves out what is True, scaled_dot_product_attention "
    "keeps it. Test with a loud padding vector, not by looking",
    met=(
        "PyTorch, nn.MultiheadAttention, key_padding_mask "
        "<https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html>",
        "SASRec.pytorch #36, zero vectors instead of a mask <https://github.com/pmixer/SASRec.pytorch/issues/36>",
    ),
    difficulty=1,
    minutes=6,
)
