"""How near a caption comes to its references: exact match, BLEU-4, CIDEr-D. Words are compared, never the picture.

    exact match   share of captions that equal a reference              0 to 1
    BLEU-4        clipped n-gram precision times a brevity penalty      0 to 100, over the corpus
    CIDEr-D       tf-idf weighted n-gram similarity                     0 to 10 per caption, mean over the corpus

None has a chance value of its own: a blind model that knows the phrases scores well above 0 on the last two, so report
it beside them. References come as one list per caption.
"""

import math
from collections import Counter
from collections.abc import Sequence

from course_lib import refuse

ORDERS = range(1, 5)
SIGMA = 6.0
"""Width of the length penalty of CIDEr-D, in words."""

Ngrams = dict[tuple[str, ...], float]


@refuse.misfit
def exact_match(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Share of captions that equal one of their references, word for word. Best 1."""
    _check(captions, references)
    return sum(caption in refs for caption, refs in zip(captions, references, strict=True)) / len(captions)


@refuse.misfit
def bleu4(captions: Sequence[str], references: Sequence[Sequence[str]], *, tokenize: str = "13a") -> float:
    """Corpus BLEU-4 as sacreBLEU computes it, 0 to 100.

        BLEU = brevity · (p1 p2 p3 p4)^(1/4),   brevity = min(1, exp(1 - reference length / caption length))

    p_n is the share of the captions' n-grams that their references hold, each counted at most as often as one reference
    has it. A corpus score: the mean over captions is another number. tokenize: "zh" for Chinese.
    Papineni et al. (2002, doi:10.3115/1073083.1073135); Post (2018, arXiv:1804.08771) on why to name the tokeniser.
    """
    import sacrebleu  # half a second, and only this function needs it

    _check(captions, references)
    most = max(len(refs) for refs in references)
    columns = [[refs[k] if k < len(refs) else None for refs in references] for k in range(most)]
    return sacrebleu.corpus_bleu(list(captions), columns, tokenize=tokenize).score


@refuse.misfit
def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption, 0 to 10; the corpus score is the mean.

        g_n(c) = vector of (count of n-gram in c) · log(images / images with it in a reference)
        CIDEr-D = 10 · mean over n = 1..4 and references r of
                  exp(-(words of c - words of r)² / (2 · 6²)) · Σ min(g_n(c), g_n(r)) · g_n(r) / (|g_n(c)| |g_n(r)|)

    A word that every image's references share weighs log 1 = 0, so one image alone scores 0 and a score only means
    something for its own corpus. Vedantam et al. (2015, arXiv:1411.5726), in the form of the COCO evaluation code, but
    without its tokeniser: captions are split at blanks as they are.
    """
    _check(captions, references)
    seen = Counter(gram for refs in references for gram in {gram for ref in refs for gram in _ngrams(ref)})
    scores = []
    for caption, refs in zip(captions, references, strict=True):
        mine = _weighted(caption, seen, len(references))
        total = sum(_similarity(mine, _weighted(ref, seen, len(references))) * _closeness(caption, ref) for ref in refs)
        scores.append(10 * total / len(refs))
    return scores


def _ngrams(text: str) -> Counter:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in ORDERS for i in range(len(words) - n + 1))


def _weighted(text: str, seen: Counter, images: int) -> Ngrams:
    """tf-idf; an n-gram that no reference holds counts as if one did."""
    return {gram: count * math.log(images / max(1, seen[gram])) for gram, count in _ngrams(text).items()}


def _similarity(mine: Ngrams, theirs: Ngrams) -> float:
    """Clipped cosine, the mean over the four orders; an order in which a side has no weight gives 0."""
    total = 0.0
    for n in ORDERS:
        a, b = ({gram: w for gram, w in side.items() if len(gram) == n} for side in (mine, theirs))
        norms = math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))
        if norms > 0:
            total += sum(min(w, b[gram]) * b[gram] for gram, w in a.items() if gram in b) / norms
    return total / len(ORDERS)


def _closeness(caption: str, reference: str) -> float:
    words = [len(text.split()) for text in (caption, reference)]
    return math.exp(-((words[0] - words[1]) ** 2) / (2 * SIGMA**2))


def _check(captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    refuse.empty(captions=captions)
    refuse.uneven(captions=captions, references=references)
    empty = [row for row, refs in enumerate(references) if len(refs) == 0]
    if empty:
        raise ValueError(f"rows {empty[:5]} have no reference; leave those captions out")
