import math
from itertools import product

import pytest
import torch

from course_lib.models.generation import generate, nucleus
from course_lib.models.transformer import KeyValueCache
from course_lib.models.vlm import make_vlm

PAD, EOS, IMAGE = 0, 2, 5


def model(vocabulary=6, sharp=4.0):
    """Untrained, its scores spread so that words differ in probability."""
    torch.manual_seed(3)
    vlm = make_vlm(vocabulary, IMAGE, size=8, patch=4, width=12, heads=3, depth=2, most_words=16).eval()
    with torch.no_grad():
        vlm.decoder.head.weight.mul_(sharp)
        vlm.decoder.embed.weight.mul_(20)
    return vlm


def prompts():
    ids = torch.tensor([[0, 0, 1, IMAGE, 3], [1, IMAGE, 3, 4, 3], [0, 1, 4, IMAGE, 4]])
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)), ids


@torch.no_grad()
def log_prob_of(vlm, image, prompt, words):
    """From one forward pass over prompt and answer, without cache or padding."""
    ids = torch.cat([prompt[prompt != PAD], torch.tensor(words)])[None]
    scores = vlm(image[None], ids).at_words()[0]
    scores[:, IMAGE] = float("-inf")  # never said
    scores = scores.log_softmax(dim=-1)
    start = int((prompt != PAD).sum())
    return float(sum(scores[start + k - 1, word] for k, word in enumerate(words)))


def answer_of(row):
    words = row.tolist()
    return words[: words.index(EOS) + 1] if EOS in words else words


@pytest.mark.parametrize(
    "options",
    [{"method": "greedy"}, {"method": "beam", "beams": 3}, {"method": "top_p", "top_p": 0.8, "temperature": 1.5}],
)
def test_the_cache_changes_nothing(options):
    vlm, (images, ids) = model(), prompts()
    found = []
    for cached in (True, False):
        draw = {"generator": torch.Generator().manual_seed(7)} if options["method"] == "top_p" else {}
        found.append(generate(vlm, images, ids, most=8, cached=cached, **options, **draw))
    assert torch.equal(found[0].ids, found[1].ids)
    torch.testing.assert_close(found[0].log_probs, found[1].log_probs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_log_probabilities_are_those_of_the_answer(method):
    vlm, (images, ids) = model(), prompts()
    said = generate(vlm, images, ids, method=method, most=7)
    for row in range(3):
        expected = log_prob_of(vlm, images[row], ids[row], answer_of(said.ids[row]))
        assert said.log_probs[row].item() == pytest.approx(expected, abs=1e-4)


def test_greedy_takes_the_likeliest_word_each_time():
    vlm, (images, ids) = model(), prompts()
    said = generate(vlm, images, ids, most=6)
    for row in range(3):
        prompt = ids[row][ids[row] != PAD]
        for word in answer_of(said.ids[row]):
            best = vlm(images[row : row + 1], prompt[None]).at_words()[0, -1, :IMAGE].argmax()
            assert word == best
            prompt = torch.cat([prompt, best[None]])


def every_answer(vlm, images, ids, most):
    """All answers: ended by <eos> within `most` words, or `most` words without it."""
    going_on = (PAD, 1, 3, 4)
    for row in range(len(ids)):
        answers = {}
        for length in range(1, most + 1):
            for words in product(going_on, repeat=length - 1):
                answers[*words, EOS] = log_prob_of(vlm, images[row], ids[row], [*words, EOS])
        for words in product(going_on, repeat=most):
            answers[words] = log_prob_of(vlm, images[row], ids[row], list(words))
        yield answers


def test_enough_beams_find_the_likeliest_answer_of_all():
    """Brute force over every answer of up to 3 words out of 6, which greedy search misses at least once."""
    vlm, (images, ids) = model(sharp=2.0), prompts()
    beam = generate(vlm, images, ids, method="beam", beams=36, most=3)
    greedy = generate(vlm, images, ids, most=3)
    missed = 0
    with torch.no_grad():
        for row, answers in enumerate(every_answer(vlm, images, ids, 3)):
            best = max(answers, key=answers.get)
            assert tuple(answer_of(beam.ids[row])) == best
            assert beam.log_probs[row].item() == pytest.approx(answers[best], abs=1e-4)
            assert sum(torch.tensor(list(answers.values())).exp()) == pytest.approx(1, abs=1e-4)
            missed += tuple(answer_of(greedy.ids[row])) != best
    assert missed > 0


def test_one_beam_is_greedy():
    vlm, (images, ids) = model(), prompts()
    one, greedy = (generate(vlm, images, ids, method=m, beams=1, most=7) for m in ("beam", "greedy"))
    assert torch.equal(one.ids, greedy.ids)


def test_the_nucleus_by_hand():
    probs = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]])
    assert nucleus(probs.log(), 0.7).tolist() == [[False, True, False, True], [True, False, False, False]]
    assert nucleus(probs.log(), 0.8).tolist() == [[False, True, True, True], [True, False, False, False]]
    for least in (1e-9, 0.0):
        assert nucleus(probs.log(), least).sum(dim=1).tolist() == [1, 1]
    assert nucleus(probs.log(), 1.0).all()


def test_sampled_words_have_the_models_frequencies():
    vlm, (images, ids) = model(sharp=2.0), prompts()
    many = generate(
        vlm,
        images[1:2].expand(4000, -1, -1, -1),
        ids[1:2].expand(4000, -1),
        method="top_p",
        top_p=1.0,
        most=1,
        generator=torch.Generator().manual_seed(0),
    )
    wanted = vlm(images[1:2], ids[1:2]).at_words()[0, -1, :IMAGE].softmax(dim=-1)
    found = torch.bincount(many.ids[:, 0], minlength=5) / 4000
    assert (found - wanted).abs().max() < 0.03  # a standard deviation is at most 0.008
    tight = generate(vlm, images, ids, method="top_p", top_p=1e-6, most=6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(tight.ids, generate(vlm, images, ids, most=6).ids)


def test_nothing_is_said_after_the_end():
    vlm, (images, ids) = model(), prompts()
    with torch.no_grad():
        vlm.decoder.head.weight[EOS] = 0.5 * vlm.decoder.head.weight[3:5].sum(dim=0)
    generator = torch.Generator().manual_seed(0)
    said = generate(vlm, images.repeat(20, 1, 1, 1), ids.repeat(20, 1), method="top_p", most=8, generator=generator).ids
    ended = (said == EOS).int().cumsum(dim=1)
    assert (ended[:, :-1] >= 1).any() and (said[:, 1:][ended[:, :-1] >= 1] == PAD).all()


def test_bad_input_is_refused():
    vlm, (images, ids) = model(), prompts()
    with pytest.raises(ValueError, match="images run from 0.* to 2.*divide by 255"):
        generate(vlm, images * 255, ids)
    with pytest.raises(ValueError, match="'nucleus' is none of"):
        generate(vlm, images, ids, method="nucleus")
    with pytest.raises(ValueError, match="sampling draws from a generator"):
        generate(vlm, images, ids, method="top_p")
    with pytest.raises(ValueError, match="'greedy' came with generator=.*nothing else does"):
        generate(vlm, images, ids, generator=torch.Generator())
    with pytest.raises(ValueError, match="a prompt ends in padding; pad on the left"):
        generate(vlm, images, ids.flip(1))
    with pytest.raises(ValueError, match="need 0 < top_p <= 1"):
        generate(vlm, images, ids, method="top_p", top_p=1.2, generator=torch.Generator())
    with pytest.raises(ValueError, match="most=0 and beams=4"):
        generate(vlm, images, ids, most=0)
    with pytest.raises(ValueError, match="train mode"):
        generate(vlm.train(), images, ids)


class Scripted:
    """Says its words whatever it is shown, each with the same probability; one list of words a row."""

    SURE = 3 - math.log(math.exp(3) + 5)
    """Log-probability of each word: one score of 3 among five of 0."""

    def __init__(self, *rows):
        self.rows = torch.tensor(rows)

    def start(self, images, ids, readable):
        cache = KeyValueCache()
        return self.step(ids[:, 0], cache), cache

    def step(self, words, cache):
        said = self.rows.repeat_interleave(len(words) // len(self.rows), dim=0)[:, cache.length]
        cache.note(torch.ones(len(words), 1, dtype=torch.bool))
        return torch.nn.functional.one_hot(said, 6) * 3.0


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_a_pad_that_the_model_says_cuts_nothing_off(method):
    said = generate(Scripted([4, PAD, 3, EOS]), None, torch.tensor([[1, IMAGE]]), method=method, most=4)
    assert said.ids.tolist() == [[4, PAD, 3, EOS]]


def test_an_ended_answer_costs_nothing_while_others_go_on():
    script = Scripted([4, EOS, 3, 4], [4, 3, 3, EOS])
    said = generate(script, None, torch.tensor([[1, IMAGE], [1, IMAGE]]), most=4)
    assert said.ids.tolist() == [[4, EOS, PAD, PAD], [4, 3, 3, EOS]]
    assert said.log_probs.tolist() == pytest.approx([2 * Scripted.SURE, 4 * Scripted.SURE])


def test_temperature_divides_the_scores():
    script, ids = Scripted(*[[4]] * 4000), torch.tensor([[1, IMAGE]]).expand(4000, -1)
    for temperature in (0.5, 2.0):
        random = torch.Generator().manual_seed(0)
        said = generate(script, None, ids, method="top_p", top_p=1.0, temperature=temperature, most=1, generator=random)
        share = math.exp(3 / temperature) / (math.exp(3 / temperature) + 5)
        assert (said.ids[:, 0] == 4).float().mean().item() == pytest.approx(share, abs=0.03)
        assert said.log_probs.max().item() == pytest.approx(Scripted.SURE)  # the model's, not the draw's
