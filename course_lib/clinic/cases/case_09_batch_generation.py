"""Case 09, generate for several prompts at once."""

from types import SimpleNamespace as Program

import torch
from torch import nn

from course_lib.clinic.case import Case

V5 = "transformers, migration guide to v5 <https://github.com/huggingface/transformers/blob/main/MIGRATION_GUIDE_V5.md>"

_PROMPTS = [[3, 4, 5, 6, 7, 8], [5, 9], [7, 3, 4], [11]]


def batch_equals_alone(program: Program) -> None:
    """Eight random models: what a prompt gets must not depend on its company."""
    for seed in range(8):
        torch.manual_seed(seed)
        model = program.Decoder()
        alone = [_reference(model, prompt, 4) for prompt in _PROMPTS]
        together = program.generate(model, _PROMPTS, 4)
        assert all(len(words) == 4 for words in together), "each prompt gets `count` words, no more and no less"
        assert together[0] == alone[0], "now the longest prompt, which has no padding, gets other words than before"
        assert together == alone, (
            "a short prompt gets other words in a batch than alone: what stands in the last column, and does the "
            "mask say the same as the ids?"
        )


def serves_all_at_once(program: Program) -> None:
    """Four prompts take as many passes of the model as one."""
    model, passes = program.Decoder(), []
    model.register_forward_hook(lambda model, given, scores: passes.append(len(given[0])))
    program.generate(model, _PROMPTS, 4)
    assert len(passes) <= 6, (
        f"{len(passes)} passes of the model for 4 words of 4 prompts, {max(passes)} rows at a time: one prompt after "
        "the other is no batch, and takes four times as long"
    )


@torch.no_grad()
def _reference(model: nn.Module, prompt: list[int], count: int) -> list[int]:
    ids = torch.tensor([prompt])
    for _ in range(count):
        ids = torch.cat([ids, model(ids, torch.ones_like(ids, dtype=torch.bool))[:, -1:].argmax(dim=-1)], dim=1)
    return ids[0, -count:].tolist()


_PAD = "ids = torch.tensor([prompt + [PAD] * (longest - len(prompt)) for prompt in prompts])"
_LEFT = "ids = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in prompts])"

CASE = Case(
    number="09",
    title="generate for several prompts at once",
    complaint="Prompt by prompt it is fine. In a batch, only the longest prompt gets its usual answer.",
    stages=(batch_equals_alone, serves_all_at_once),
    original="a short prompt gets other words in a batch than alone",
    repair=((_PAD, _LEFT),),
    wrong={
        "the longest prompt, which has no padding": (
            ("longest = max(map(len, prompts))", "longest = min(map(len, prompts))"),
            (_PAD, "ids = torch.tensor([prompt[:longest] for prompt in prompts])"),
        ),
        "does the mask say the same as the ids?": (
            (_PAD, _LEFT),
            (
                "return ids, ids != PAD",
                "return ids, torch.tensor([[t < len(p) for t in range(longest)] for p in prompts])",
            ),
        ),
        "is no batch": (
            (
                "    ids, real = pad_prompts(prompts)\n",
                "    if len(prompts) > 1:\n"
                "        return [generate(model, [prompt], count)[0] for prompt in prompts]\n"
                "    ids, real = pad_prompts(prompts)\n",
            ),
        ),
        "no more and no less": (
            (
                "    return ids[:, -count:].tolist()",
                "    return [[w for w in row if w != PAD][-count:] + [PAD] for row in ids.tolist()]",
            ),
        ),
        "a `try` around the failure": (
            (
                "    ids, real = pad_prompts(prompts)\n",
                "    try:\n        ids, real = pad_prompts(prompts)\n    except RuntimeError:\n        return []\n",
            ),
        ),
    },
    hints=(
        "Generation reads the last column. What stands there in the row of a short prompt?",
        "For training the side of the padding does not matter, for generation it does.",
        "Put the padding on the left: [PAD] * (longest - len(prompt)) + prompt. The mask follows from the ids.",
    ),
    defect="right padding in generation: a short prompt was continued after its padding. Decoder-only models pad on "
    "the left to generate, or read the score of each row's last real word",
    met=(
        "transformers, text generation, padding side <https://huggingface.co/docs/transformers/llm_tutorial>",
        "lamorel #53 <https://github.com/flowersteam/lamorel/issues/53>",
    ),
    difficulty=2,
    minutes=8,
)
