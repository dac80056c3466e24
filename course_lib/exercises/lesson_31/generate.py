"""Exercise 31.3: generation with a cache."""

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise


class _Script:
    """A model with a plan: the words it will say to each prompt, and a diary of how it was asked.

    The word it will say leads by little, so that a draw from the scores says something else.
    """

    plans = {3: [5, 6, 2, 7, 7, 7], 4: [8, 2, 7, 7, 7, 7], 9: [5, 5, 5, 5, 5, 2], 6: [2, 7, 7, 7, 7, 7]}

    def __init__(self):
        self.starts, self.read = 0, []

    def start(self, image, ids):
        self.starts += 1
        self.given = (image, ids) if self.starts == 1 else self.given
        plan = [self.plans.get(int(row[1]), [0] * 6) if len(row) > 1 else [0] * 6 for row in ids]
        cache = {"plan": plan, "place": len(ids[0]) - 2, "rows": len(ids)}  # a prompt of two words, and what was said
        return self._scores(cache), cache

    def step(self, words, cache):
        self.read.append(words.tolist())
        cache["place"] += 1
        return self._scores(cache)

    def _scores(self, cache):
        said = torch.tensor([plan[min(max(cache["place"], 0), 5)] for plan in cache["plan"]])
        return 0.1 * F.one_hot(said, 10).float() - 7.0


_IMAGE, _PROMPTS = torch.arange(144.0).view(3, 3, 4, 4), torch.tensor([[1, 3], [1, 4], [1, 9]])


def _generated(generate, most):
    model = _Script()
    got = generate(model, _IMAGE, _PROMPTS, most, 2, 0)
    assert isinstance(got, torch.Tensor) and got.ndim == 2 and len(got) == 3, (
        "a tensor (B, N) should come back, one row a prompt"
    )
    assert not got.is_floating_point(), f"words are whole numbers, got {got.dtype}"
    return model, got


def generates_one_word_after_the_other(generate):
    model, got = _generated(generate, 2)
    given = model.starts == 0 or (torch.equal(model.given[0], _IMAGE) and torch.equal(model.given[1], _PROMPTS))
    assert given, "`start` was not given the image and the prompt as they came"
    first = got[:, 0].tolist()
    assert first == [5, 8, 5], (
        f"the first words are {first} and not [5, 8, 5], which `start` scores highest: they must not be lost, nor drawn"
    )
    assert got.shape[1] <= 2, f"most is 2, {got.shape[1]} words a row came back"
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
    model = _Script()
    got = generate(model, _IMAGE[:1], torch.tensor([[1, 6]]), 6, 2, 0)
    assert got.tolist() == [[2]] and model.read == [], "a row whose first word is EOS is that one word, without a step"


def generates_with_any_numbers(generate):
    got = generate(_Script(), _IMAGE, _PROMPTS, 6, 7, 3)
    due = [[5, 6, 2, 7], [8, 2, 7, 3], [5, 5, 5, 5]]
    assert got[:, :4].tolist() == due, (
        f"with eos = 7 and pad = 3 the rows begin {due}, got {got[:, :4].tolist()}: take the numbers from the arguments"
    )
    got = generate(_Script(), _IMAGE, _PROMPTS, 6, 2, 2)
    assert got.tolist() == [[5, 6, 2, 2, 2, 2], [8, 2, 2, 2, 2, 2], [5, 5, 5, 5, 5, 2]], (
        "pad may be the number of eos: remember which rows have ended"
    )
    got = generate(_Script(), _IMAGE[:1], _PROMPTS[2:], 5, 2, 5)
    assert got.tolist() == [[5, 5, 5, 5, 5]], "with pad = 5 a row that says 5 has not ended: only eos ends it"
    assert generate(_Script(), _IMAGE, _PROMPTS, 1, 2, 0).tolist() == [[5], [8], [5]], "most = 1 is one word a row"


def _generate(*, first=True, pad_after=True, until=all, reads="words", early=True):
    def generate(model, image, prompt, most, eos, pad):
        scores, cache = model.start(image, prompt)
        ended = torch.zeros(len(prompt), dtype=torch.bool)
        words = []
        for number in range(most):
            if number > 0 or not first:
                said = words[-1] if words else scores.argmax(dim=1)
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


def _reads_all_again(model, image, prompt, most, eos, pad):
    """Puts each word behind the prompt and starts anew."""
    ended = torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(most):
        word = torch.where(ended, pad, model.start(image, prompt)[0].argmax(dim=1))
        prompt, ended = torch.cat([prompt, word[:, None]], dim=1), ended | (word == eos)
        if ended.all():
            break
    return prompt[:, 2:]


def _teacher_forced(model, image, prompt, most, eos, pad):
    scores, _ = model.start(image, prompt)
    return scores.argmax(dim=1)[:, None].expand(-1, most)


def _draws_words(model, image, prompt, most, eos, pad):
    """Sampling in place of the arg-max."""
    scores, cache = model.start(image, prompt)
    words, ended = [], torch.zeros(len(prompt), dtype=torch.bool)
    for number in range(most):
        scores = scores if number == 0 else model.step(words[-1], cache)
        words.append(torch.where(ended, pad, torch.multinomial(scores.softmax(-1), 1)[:, 0]))
        ended = ended | (words[-1] == eos)
        if ended.all():
            break
    return torch.stack(words, dim=1)


def _ends_at_pad(model, image, prompt, most, eos, pad):
    got = _generate()(model, image, prompt, most, eos, pad)
    final = (got == eos) | (got == pad)
    ended = final.cumsum(1) > final.long()  # some place before this one
    return torch.where(ended, pad, got)[:, : int((~ended).sum(1).max())]


def _steps_once_at_least(model, image, prompt, most, eos, pad):
    got = _generate()(model, image, prompt, most, eos, pad)
    if got.shape[1] == 1 and most > 1:
        model.step(got[:, 0], model.start(image, prompt)[1])
    return got


def _fills_a_tensor(model, image, prompt, most, eos, pad):
    out = torch.full((prompt.shape[0], most), pad)
    scores, cache = model.start(image, prompt)
    open_rows = torch.ones(prompt.shape[0], dtype=torch.bool)
    for column in range(most):
        out[open_rows, column] = scores.max(dim=-1).indices[open_rows]
        open_rows &= out[:, column] != eos
        if column + 1 == most or not open_rows.any():
            return out[:, : column + 1]
        scores = model.step(out[:, column].clone(), cache)


def _speaks_by_rows(model, image, prompt, most, eos, pad):
    scores, cache = model.start(image, prompt)
    rows = [[] for _ in prompt]
    while True:
        for row, each in zip(rows, scores.tolist(), strict=True):
            row.append(pad if eos in row else each.index(max(each)))
        if len(rows[0]) == most or all(eos in row for row in rows):
            return torch.tensor(rows)
        scores = model.step(torch.tensor([row[-1] for row in rows]), cache)


generate = Exercise(
    id="31.3 generate",
    task="Write generate(model, image, prompt, most, eos, pad): greedy answers, (B, N) with N <= most. "
    "model.start(image, prompt) gives scores of the first word (B, V) and a cache; model.step(words, cache) reads "
    "the words (B,), adds them to the cache and gives the scores of the next (B, V), nothing else. A row that has "
    "said eos gets pad; stop when all have ended; the last words need no step.",
    stages=(
        generates_one_word_after_the_other,
        generates_through_the_cache,
        generates_padding_after_the_end,
        generates_until_all_have_ended,
        generates_with_any_numbers,
    ),
    reference=_generate(),
    mutants={
        "they must not be lost": _generate(first=False),
        "each time given its own last word": _teacher_forced,
        "read again for every word": _reads_all_again,
        "reads the words that were just said": _generate(reads="prompt"),
        "the last word needs no further step": _reads_the_last_too,
        "words after EOS": _generate(pad_after=False),
        "row 3 was ended": lambda model, image, prompt, most, eos, pad: torch.tensor([[5, 6], [8, 2], [5, 2]]),
        "stop when all rows have ended, not the first": _generate(until=any),
        "it goes on to `most`": _generate(early=False),
        "nor drawn": _draws_words,
        "take the numbers from the arguments": lambda model, image, prompt, most, eos, pad: _generate()(
            model, image, prompt, most, 2, pad
        ),
        "only eos ends it": _ends_at_pad,
        "without a step": _steps_once_at_least,
    },
    alternatives={
        "a full tensor, filled column by column": _fills_a_tensor,
        "rows as lists": _speaks_by_rows,
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
