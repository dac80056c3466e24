"""What a vision-language model is worth: captions against references, hallucinations, yes-or-no questions.

The same figures for every model and every way of taking its image away, so that a row can be held against its
baselines: a blind model, shuffled images, blank images. Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.data.instructions import WORDS, Instructions, encode_prompts, mentioned, present, question_prompt
from course_lib.metrics.captions import bleu4, cider, exact_match
from course_lib.metrics.hallucination import SAMPLINGS, Pope, Probe, chair, pope, pope_probes
from course_lib.models.generation import generate
from course_lib.models.vlm import VisionLanguageModel


def say(
    model: VisionLanguageModel,
    images: Float[Tensor, "B 3 height width"] | None,
    prompts: list[str],
    *,
    most: int = 24,
    rows: int = 512,
    **options: object,
) -> list[str]:
    """Each prompt's answer as text. images None: the blind model. rows: prompts at once; options as in `generate`."""
    if images is not None and len(images) != len(prompts):
        raise ValueError(f"{len(images)} images and {len(prompts)} prompts came; each prompt needs its image")
    device = next(model.parameters()).device
    answers = []
    for start in range(0, len(prompts), rows):
        ids = encode_prompts(prompts[start : start + rows]).to(device)
        seen = None if images is None else images[start : start + rows].to(device)
        answers += [WORDS.decode(row) for row in generate(model, seen, ids, most=most, **options).ids.cpu()]
    return answers


def views(images: Float[Tensor, "B 3 height width"]) -> dict[str, Tensor | None]:
    """The images, and four ways of taking them away: another's, black, grey, none.

    "shuffled" moves the rows on as little as leaves none with its own image, which several questions may share.
    """
    moved = (images.roll(shift, dims=0) for shift in range(1, len(images)))
    others = next((each for each in moved if not (each == images).flatten(start_dim=1).all(dim=1).any()), None)
    if others is None:
        raise ValueError(f"{len(images)} images cannot be shuffled so that each row gets another's; give more scenes")
    return {
        "own": images,
        "shuffled": others,
        "blank": torch.zeros_like(images),
        "grey": torch.full_like(images, 0.5),
        "none": None,
    }


def score_captions(captions: list[str], data: Instructions) -> dict[str, float]:
    """Exact match (0 to 1), BLEU-4 (0 to 100), CIDEr-D (0 to 10), CHAIR and the recall of objects (0 to 1)."""
    references = [[answer] for answer in data.answers]
    there = [present(data.drawn.scenes[row]) for row in data.rows]
    hallucinated = chair([mentioned(caption) for caption in captions], there)
    return {
        "exact_match": exact_match(captions, references),
        "bleu4": bleu4(captions, references),
        "cider": sum(cider(captions, references)) / len(captions),
        "chair_i": hallucinated.instance,
        "chair_s": hallucinated.sentence,
        "object_recall": hallucinated.recall,
    }


def score_model(
    model: VisionLanguageModel,
    data: Instructions,
    *,
    view: str = "own",
    corpus: Sequence[Collection[str]] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """All figures of one model under one of `views`: those of its captions, and POPE's for each sampling.

    data: captions only (kinds=("caption",)). corpus, names: as in `pope_probes`.
    """
    if set(data.kinds) != {"caption"}:
        raise ValueError(f"kinds {sorted(set(data.kinds))} came; give captions only, make_instructions(...) as it is")
    shown = views(data.images)
    if view not in shown:
        raise ValueError(f"view {view!r} is none of {tuple(shown)}")
    images = shown[view]
    figures = score_captions(say(model, images, data.prompts), data)
    there = [present(data.drawn.scenes[row]) for row in data.rows]
    for sampling in SAMPLINGS:
        probes = pope_probes(there, sampling, names=names, corpus=corpus)
        for name, value in answer_probes(model, images, probes)._asdict().items():
            figures[f"pope_{sampling}_{name}"] = value
    return figures


def answer_probes(
    model: VisionLanguageModel, images: Float[Tensor, "B 3 height width"] | None, probes: list[Probe]
) -> Pope:
    """Ask the model POPE's questions and score what it says."""
    shown = None if images is None else images[[probe.image for probe in probes]]
    prompts = [question_prompt(f"is there a {probe.name}?") for probe in probes]
    return pope([answer == "yes" for answer in say(model, shown, prompts, most=4)], probes)


def accuracy_by_kind(model: VisionLanguageModel, data: Instructions) -> dict[str, float]:
    """Share of exactly right answers of each kind of question."""
    right: dict[str, list[bool]] = {}
    for said, answer, kind in zip(say(model, data.images, data.prompts), data.answers, data.kinds, strict=True):
        right.setdefault(kind, []).append(said == answer)
    return {kind: sum(hits) / len(hits) for kind, hits in right.items()}
