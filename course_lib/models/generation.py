"""From scores of the next word to an answer: greedy, top-p sampling, beam search; with or without the cache.

    greedy   the likeliest word at each step                                   not always the likeliest answer
    top_p    draw from the likeliest words that together hold p of the mass    varied; p near 0 is greedy, 1 the model
    beam     keep the `beams` likeliest beginnings                             more probable answers, not better ones

The cache reads a prompt of S positions once and then one position a word; without it every word reads everything again.
Both give the same words. Axis letters are those of course_lib/__init__.py; N counts the words of the answer.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib import refuse
from course_lib.models.transformer import KeyValueCache

METHODS = ("greedy", "top_p", "beam")


@runtime_checkable
class Speaker(Protocol):
    """What a model needs to be generated with; `VisionLanguageModel` has it."""

    def start(self, images: Tensor | None, ids: Tensor, readable: Tensor | None) -> tuple[Tensor, KeyValueCache]:
        """Scores of the first word, and a cache."""

    def step(self, words: Tensor, cache: KeyValueCache) -> Tensor:
        """Scores of the word after these."""


class Generated(NamedTuple):
    """Answers, one a row."""

    ids: Int[Tensor, "B N"]
    """The words, <eos> where one ended, <pad> after it. N is the longest answer's length."""
    log_probs: Float[Tensor, " B"]
    """Log-probability of the answer under the model in nats, <eos> included; not that of the truncated draw."""


@refuse.misfit
@torch.no_grad()
def generate(
    model: Speaker,
    images: Float[Tensor, "B 3 height width"] | None,
    ids: Int[Tensor, "B T"],
    *,
    method: str = "greedy",
    most: int = 24,
    cached: bool = True,
    beams: int = 4,
    top_p: float = 0.9,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    eos: int = 2,
    pad: int = 0,
) -> Generated:
    """Answer each prompt about its image.

    images: red, green, blue in [0, 1]; None is the blind model.
    ids: prompts, padded on the left (`instructions.encode_prompts`).
    method: one of METHODS. most: words of the longest answer, <eos> included; one that reaches it just stops.
    cached: False reads everything again at every word: the same words, slower.
    beams: for "beam". top_p (share of the mass), temperature, generator (needed): for "top_p".

    Call model.eval() first. Raises ValueError for images outside [0, 1], settings that don't fit, padding on the right.
    """
    _check(model, images, ids, method, most, beams, top_p, temperature, generator, pad)
    reader = _Reader(model, images, ids, ids != pad, cached)
    if method == "beam":
        return _beam_search(reader, most, beams, eos, pad)
    words, total, ended = [], 0.0, torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for number in range(most):
        log_probs = reader.log_probs()
        word = log_probs.argmax(dim=1) if method == "greedy" else _draw(log_probs / temperature, top_p, generator)
        total = total + log_probs.gather(1, word[:, None])[:, 0].masked_fill(ended, 0.0)
        word = word.masked_fill(ended, pad)
        words.append(word)
        ended = ended | (word == eos)
        if bool(ended.all()) or number + 1 == most:
            break
        reader.append(word)
    return Generated(torch.stack(words, dim=1), total)


@refuse.misfit
def nucleus(log_probs: Float[Tensor, "B V"], top_p: float) -> Bool[Tensor, "B V"]:
    """The likeliest words, as few as hold `top_p` of the mass together; the likeliest one always.

    Holtzman et al. (2019, arXiv:1904.09751).
    """
    order = log_probs.argsort(dim=1, descending=True, stable=True)
    sorted_probs = log_probs.softmax(dim=1).gather(1, order)
    before = sorted_probs.cumsum(dim=1) - sorted_probs  # mass of what is likelier
    kept = before < top_p
    kept[:, 0] = True
    return torch.zeros_like(kept).scatter(1, order, kept)


def _draw(log_probs: Float[Tensor, "B V"], top_p: float, generator: torch.Generator) -> Int[Tensor, " B"]:
    allowed = log_probs.masked_fill(~nucleus(log_probs, top_p), float("-inf"))
    probs = allowed.softmax(dim=1).to(generator.device)  # drawn where the generator is: one seed, one answer
    return torch.multinomial(probs, 1, generator=generator)[:, 0].to(log_probs.device)


class _Reader:
    """The model and what it has read, with the cache or without."""

    def __init__(self, model: Speaker, images: Tensor | None, ids: Tensor, readable: Tensor, cached: bool) -> None:
        self.model, self.images, self.ids, self.readable = model, images, ids, readable
        self.cache: KeyValueCache | None = None
        if cached:
            self.scores, self.cache = model.start(images, ids, readable)
        else:
            self._read_all()

    def _read_all(self) -> None:
        self.scores = self.model.start(self.images, self.ids, self.readable)[0]

    def log_probs(self) -> Float[Tensor, "B V"]:
        """Of the next word."""
        return self.scores.float().log_softmax(dim=1)

    def append(self, words: Int[Tensor, " B"]) -> None:
        """Read one more word a row."""
        if self.cache is not None:
            self.scores = self.model.step(words, self.cache)
            return
        self.ids = torch.cat([self.ids, words[:, None]], dim=1)
        self.readable = torch.cat([self.readable, self.readable.new_ones(len(words), 1)], dim=1)
        self._read_all()

    def select(self, rows: Int[Tensor, " N"]) -> None:
        """Go on with these rows, as often as they come."""
        self.scores = self.scores[rows]
        if self.cache is not None:
            self.cache.select(rows)
            return
        self.ids, self.readable = self.ids[rows], self.readable[rows]
        self.images = None if self.images is None else self.images[rows]


def _beam_search(reader: _Reader, most: int, beams: int, eos: int, pad: int) -> Generated:
    """Beginnings that have ended keep their score and compete on; with V^(N-1) beams the search is exhaustive.

    Sums of log-probabilities favour short answers; nothing is divided by the length here, so that `log_probs` is what
    was maximised.
    """
    first = reader.log_probs()
    count, vocabulary = first.shape
    device = first.device
    reader.select(torch.arange(count, device=device).repeat_interleave(beams))
    scores = first.new_full((count, beams), float("-inf"))
    scores[:, 0] = 0.0  # all beams begin alike, so only one of them may branch
    words = torch.empty(count, beams, 0, dtype=torch.int64, device=device)
    ended = torch.zeros(count, beams, dtype=torch.bool, device=device)
    row = torch.arange(count, device=device)[:, None]
    for number in range(most):
        log_probs = reader.log_probs().view(count, beams, vocabulary)
        stay = torch.full_like(log_probs, float("-inf"))
        stay[..., pad] = 0.0
        candidates = scores[..., None] + torch.where(ended[..., None], stay, log_probs)
        scores, flat = candidates.flatten(1).topk(beams, dim=1)
        parent, word = flat // vocabulary, (flat % vocabulary).masked_fill(scores.isneginf(), pad)
        words = torch.cat([words[row, parent], word[..., None]], dim=2)
        ended = ended[row, parent] | (word == eos)
        if bool(ended.all()) or number + 1 == most:
            break
        reader.select((row * beams + parent).flatten())
        reader.append(word.flatten())
    best = words[:, 0]
    said = (best != pad).any(dim=0).nonzero()  # a word may follow a <pad> that the model itself said
    return Generated(best[:, : int(said.max()) + 1 if len(said) > 0 else 0], scores[:, 0])


def _check(
    model: Speaker,
    images: Tensor | None,
    ids: Tensor,
    method: str,
    most: int,
    beams: int,
    top_p: float,
    temperature: float,
    generator: torch.Generator | None,
    pad: int,
) -> None:
    if getattr(model, "training", False):
        raise ValueError("the model is in train mode, where dropout would make two passes disagree; call model.eval()")
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {METHODS}")
    if most < 1 or beams < 1:
        raise ValueError(f"most={most} and beams={beams} leave nothing to say; give at least 1 of each")
    if not 0 < top_p <= 1 or not temperature > 0:
        raise ValueError(f"top_p={top_p}, temperature={temperature}: need 0 < top_p <= 1 and temperature > 0")
    if (method == "top_p") != (generator is not None):
        raise ValueError(
            f"method {method!r} came with generator={generator}: sampling draws from a generator, for example "
            "torch.Generator().manual_seed(0), and nothing else does"
        )
    if bool((ids[:, -1] == pad).any()):
        raise ValueError("a prompt ends in padding; pad on the left, as instructions.encode_prompts does")
    if images is not None:
        check_range(images)


def check_range(images: Tensor) -> None:
    """ValueError unless all values lie in [0, 1], NaN included. A look at every value: not for every forward pass."""
    low, high = float(images.min()), float(images.max())
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f"images run from {low:.3g} to {high:.3g}, the model takes red, green, blue in [0, 1]; divide by 255, and "
            "leave out any normalisation"
        )
