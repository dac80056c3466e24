"""Exercise 31.3: generation with a cache."""

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise


class _Script:
    """A model with a plan: the words it will say to each prompt, and a diary of how it was asked."""

    plans = {3: [5, 6, 2, 7, 7, 7], 4: [8, 2, 7, 7, 7, 7], 9: [5, 5, 5, 5, 5, 2]}

    def __init__(self):
        self.starts, self.read = 0, []

    def start(self, image, ids):
        self.starts += 1
        self.image = image
        cache = {"plan": [self.plans[int(row[-1])] for row in ids], "place": 0, "rows": len(ids)}
        return self._scores(cache), cache

    def step(self, words, cache):
        self.read.append(words.tolist())
        cache["place"] += 1
        return self._scores(cache)

    def _scores(self, cache):
        said = torch.tensor([plan[min(cache["place"], 5)] for plan in cache["plan"]])
        return 5.0 * F.one_hot(said, 10).float() - 7.0


_IMAGE, _PROMPTS = torch.zeros(3, 3, 4, 4), torch.tensor([[1, 3], [1, 4], [1, 9]])


def _generated(generate, most):
    model = _Script()
    got = generate(model, _IMAGE, _PROMPTS, most, 2, 0)
    assert isinstance(got, torch.Tensor) and got.ndim == 2 and len(got) == 3, (
        "a tensor (B, N) should come back, one row a prompt"
    )
    return model, got


def generates_one_word_after_the_other(generate):
    _, got = _generated(generate, 2)
    assert got[:, 0].tolist() == [5, 8, 5], (
        "the first word comes from the scores that `start` gives; it must not be lost"
    )
    assert got[2].tolist() != [5, 2], "row 3 was ended when another row said EOS"
    assert got[0].tolist() == [5, 6], "the words are not what the model says next, each time given its own last word"


def generates_through_the_cache(generate):
    model, _ = _generated(generate, 3)
    assert model.starts == 1, (
        "image and prompt are read again for every word: call `start` once, then `step` with the last words"
    )
    assert model.read[0] == [5, 8, 5], "`step` reads the words that were just said"
    assert len(model.read) <= 2, "the last word needs no further step: nobody reads what would follow"


def generates_padding_after_the_end(generate):
    _, got = _generated(generate, 6)
    assert got[1].tolist()[:2] == [8, 2], "EOS itself belongs to the answer"
    assert got[1].tolist()[2:] == [0] * (got.shape[1] - 2), "words after EOS: once a row has ended it gets `pad`"


def generates_until_all_have_ended(generate):
    _, got = _generated(generate, 6)
    assert got[2].tolist() == [5, 5, 5, 5, 5, 2], (
        "the longest answer is cut off: stop when all rows have ended, not the first"
    )
    model = _Script()
    got = generate(model, _IMAGE[:2], _PROMPTS[:2], 6, 2, 0)
    assert got.tolist() == [[5, 6, 2], [8, 2, 0]] and len(model.read) == 2, (
        "all rows have ended after three words, and it goes on to `most`"
    )


def _generate(*, first=True, cached=True, pad_after=True, until=all, reads="words", early=True):
    def generate(model, image, prompt, most, eos, pad):
        scores, cache = model.start(image, prompt)
        ended = torch.zeros(len(prompt), dtype=torch.bool)
        words = []
        for number in range(most):
            if number > 0 or not first:
                said = words[-1] if words else scores.argmax(dim=1)
                if not cached:  # reads everything again, and skips ahead to where it was
                    _, cache = model.start(image, prompt)
                    cache["place"] = number - 1
                scores = model.step(said if reads == "words" else prompt[:, -1], cache)
            word = scores.argmax(dim=1)
            word = torch.where(ended, pad, word) if pad_after else word
            words.append(word)
            ended = ended | (word == eos)
            if early and until(ended.tolist()):
                break
        if reads == "after":
            model.step(words[-1], cache)
        return torch.stack(words, dim=1)

    return generate


def _reads_the_last_too(model, image, prompt, most, eos, pad):
    scores, cache = model.start(image, prompt)
    words, ended = [], torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(most):
        word = torch.where(ended, pad, scores.argmax(dim=1))
        words.append(word)
        ended = ended | (word == eos)
        scores = model.step(word, cache)
        if ended.all():
            break
    return torch.stack(words, dim=1)


def _teacher_forced(model, image, prompt, most, eos, pad):
    scores, _ = model.start(image, prompt)
    return scores.argmax(dim=1)[:, None].expand(-1, most)


generate = Exercise(
    id="31.3 generate",
    task="Write generate(model, image, prompt, most, eos, pad): greedy answers, (B, N) with N <= most. "
    "model.start(image, prompt) gives scores of the first word (B, V) and a cache; model.step(words, cache) reads "
    "the words (B,) and gives the scores of the next. A row that has said eos gets pad; stop when all have ended.",
    stages=(
        generates_one_word_after_the_other,
        generates_through_the_cache,
        generates_padding_after_the_end,
        generates_until_all_have_ended,
    ),
    reference=_generate(),
    mutants={
        "must not be lost": _generate(first=False),
        "each time given its own last word": _teacher_forced,
        "read again for every word": _generate(cached=False),
        "reads the words that were just said": _generate(reads="prompt"),
        "the last word needs no further step": _reads_the_last_too,
        "words after EOS": _generate(pad_after=False),
        "row 3 was ended": lambda model, image, prompt, most, eos, pad: torch.tensor([[5, 6], [8, 2], [5, 2]]),
        "stop when all rows have ended, not the first": _generate(until=any),
        "it goes on to `most`": _generate(early=False),
    },
    hints=(
        "Evaluation by argmax of teacher-forced logits reads the true words. Here the model only reads its own.",
        "Loop: word = scores.argmax(dim=1), pad in rows that have ended; remember it; stop, or step.",
        "ended = ended | (word == eos) after word = torch.where(ended, pad, word); break if ended.all() or it was "
        "the last word; step comes after the break.",
    ),
    difficulty=2,
    minutes=12,
)
