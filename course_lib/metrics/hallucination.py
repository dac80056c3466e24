"""Does a model speak of what is not there? CHAIR reads its captions, POPE asks it yes-or-no questions.

    CHAIR_i   objects mentioned but absent / objects mentioned          0 best; depends on how much a caption says
    CHAIR_s   captions that mention an absent object / captions         0 best; longer captions have more chances
    POPE      accuracy, precision, recall, F1, yes-rate                 half of the questions are "yes": chance 0.5

A model that says nothing has a CHAIR of 0, and one that always says yes a recall of 1: read them with a measure of what
was left out, and with the yes-rate. An object is any string, such as "red square"; how captions are read for objects is
the caller's business.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from course_lib import refuse

SAMPLINGS = ("random", "popular", "adversarial")


class Chair(NamedTuple):
    """Rohrbach et al. (2018, arXiv:1809.02156), with the share of objects that were found beside it."""

    instance: float
    """CHAIR_i, per object mentioned."""
    sentence: float
    """CHAIR_s, per caption."""
    recall: float
    """Objects present that were mentioned / objects present. Not part of CHAIR, but silence has a CHAIR of 0."""


@refuse.misfit
def chair(mentioned: Sequence[Sequence[str]], present: Sequence[Collection[str]]) -> Chair:
    """CHAIR of captions. mentioned: the objects each caption names, as often as it names them; present: in its image.

    A model that mentions nothing at all has CHAIR_i 0 and recall 0.
    """
    refuse.empty(present=present)
    refuse.uneven(mentioned=mentioned, present=present)
    absent = [[name for name in names if name not in there] for names, there in zip(mentioned, present, strict=True)]
    found = [sum(name in names for name in set(there)) for names, there in zip(mentioned, present, strict=True)]
    said, shown = sum(map(len, mentioned)), sum(len(set(there)) for there in present)
    return Chair(
        instance=sum(map(len, absent)) / max(1, said),
        sentence=sum(len(names) > 0 for names in absent) / len(present),
        recall=sum(found) / max(1, shown),
    )


class Probe(NamedTuple):
    """One question of POPE: is there a `name` in image number `image`?"""

    image: int
    name: str
    answer: bool


@refuse.misfit
def pope_probes(
    present: Sequence[Collection[str]],
    sampling: str,
    *,
    seed: int = 0,
    names: Collection[str] | None = None,
    corpus: Sequence[Collection[str]] | None = None,
) -> list[Probe]:
    """Ask each image for all objects it shows and for as many that it does not, chosen by `sampling`.

        random        any absent object
        popular       the absent ones that most images of the corpus show
        adversarial   the absent ones that stand most often beside those that are there

    names: what may be asked for; by default all that the corpus shows. corpus: where frequencies are counted, usually
    the training set; by default `present`. Ties go by the alphabet. Li et al. (2023, arXiv:2305.10355), with three
    questions of each kind an image.
    """
    refuse.unknown(SAMPLINGS, sampling=sampling)
    corpus = present if corpus is None else corpus
    pool = sorted({name for there in corpus for name in there} if names is None else set(names))
    frequency = Counter(name for there in corpus for name in set(there))
    beside = Counter(pair for there in corpus for pair in permutations(set(there), 2))
    random = np.random.RandomState(seed)
    probes = []
    for image, there in enumerate(present):
        shown, absent = sorted(set(there)), [name for name in pool if name not in there]
        if names is not None and not set(shown) <= set(pool):
            raise ValueError(f"image {image} shows {sorted(set(shown) - set(pool))}, which names= leaves out; add them")
        if len(absent) < len(shown):
            raise ValueError(
                f"image {image} shows {len(shown)} objects and only {len(absent)} of {len(pool)} names are absent; "
                "give more names to ask for"
            )
        order = {
            "random": [absent[k] for k in random.random_sample(len(absent)).argsort(kind="stable")],
            "popular": sorted(absent, key=lambda name: -frequency[name]),
            "adversarial": sorted(absent, key=lambda name: -sum(beside[name, each] for each in shown)),
        }[sampling]
        probes += [Probe(image, name, answer=True) for name in shown]
        probes += [Probe(image, name, answer=False) for name in order[: len(shown)]]
    return probes


class Pope(NamedTuple):
    """What a model's answers are worth; "yes" is the positive class."""

    accuracy: float
    precision: float
    """Share of its yeses that are right; 0 if it never says yes."""
    recall: float
    f1: float
    yes_rate: float
    """Share of yeses; half of the questions deserve one."""


@refuse.misfit
def pope(said_yes: Sequence[bool], probes: Sequence[Probe]) -> Pope:
    """Score answers, True for yes; whatever is not a clear yes counts as no. Words are refused: "no" would be true."""
    refuse.empty(probes=probes)
    refuse.uneven(said_yes=said_yes, probes=probes)
    words = [said for said in said_yes if isinstance(said, str)]
    if words:
        raise TypeError(
            f"said_yes holds words, such as {words[0]!r}; pass True and False: [each == 'yes' for each in ...]"
        )
    pairs = Counter((bool(said), probe.answer) for said, probe in zip(said_yes, probes, strict=True))
    hits, false_alarms, misses = pairs[True, True], pairs[True, False], pairs[False, True]
    precision, recall = hits / max(1, hits + false_alarms), hits / max(1, hits + misses)
    return Pope(
        accuracy=(hits + pairs[False, False]) / len(probes),
        precision=precision,
        recall=recall,
        f1=2 * hits / max(1, 2 * hits + false_alarms + misses),
        yes_rate=(hits + false_alarms) / len(probes),
    )
