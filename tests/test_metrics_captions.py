import math

import pytest

from course_lib.metrics.captions import bleu4, cider, exact_match

CAPTIONS = ["a red ring", "a blue square and a ring", "ring", "", "a a a a a red ring top left"]
REFERENCES = [
    ["a red ring"],
    ["a blue square", "one blue square and a ring"],
    ["the ring", "ring", "a small ring"],
    ["a square"],
    ["a red ring top left", "red ring"],
]


def test_exact_match_takes_any_reference_and_nothing_near():
    assert exact_match(CAPTIONS, REFERENCES) == 2 / 5


def test_bleu_is_one_hundred_for_copies_and_its_brevity_is_exponential():
    long = "small red square top left and large blue ring bottom right"
    assert bleu4([long], [[long]]) == pytest.approx(100)
    half = " ".join(long.split()[:6])  # every n-gram of it is right, so only the brevity penalty is left
    assert bleu4([half], [[long]]) == pytest.approx(100 * math.exp(1 - 11 / 6))


def test_bleu_by_hand_and_over_the_corpus():
    caption, reference = "a red ring top left", "a red ring bottom left"
    assert bleu4([caption], [[reference]]) == pytest.approx(
        100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25
    )  # p4 = 0 of 2
    two = bleu4([caption, reference], [[reference], [reference]])
    assert two == pytest.approx(100 * (9 / 10 * 6 / 8 * 4 / 6 * 2 / 4) ** 0.25)


def test_bleu_takes_references_in_different_numbers():
    assert bleu4(["a b c d e"] * 2, [["x y z v w", "a b c d e"], ["a b c d e"]]) == pytest.approx(100)


def test_cider_by_hand():
    """Two images, one reference each, one word each: idf is log 2, unigrams alone have weight."""
    assert cider(["x", "y"], [["x"], ["y"]]) == pytest.approx([10 / 4, 10 / 4])
    assert cider(["y", "y"], [["x"], ["y"]]) == pytest.approx([0, 10 / 4])
    # "x z": both of weight log 2 (z unseen counts as seen once), so the cosine is 1/sqrt(2), and a word more costs exp
    longer = 10 / 4 * math.exp(-1 / 72) / math.sqrt(2)
    assert cider(["x z", "y"], [["x"], ["y"]]) == pytest.approx([longer, 10 / 4])
    # "x x" is clipped: min(2 w, w) w / (2 w · w) = 1/2
    assert cider(["x x", "y"], [["x"], ["y"]])[0] == pytest.approx(10 / 4 * math.exp(-1 / 72) / 2)


def test_cider_ignores_what_every_image_shares_and_averages_over_references():
    assert cider(["a", "a"], [["a"], ["a"]]) == [0, 0]
    assert cider(["x"], [["x"]]) == [0]
    one, two = cider(["x", "y"], [["x", "u"], ["y"]]), cider(["x", "y"], [["x"], ["y"]])
    assert one[0] == pytest.approx(two[0] / 2)


def test_cider_as_recorded_from_the_coco_code():
    """Figures of pycocoevalcap 1.2 for these captions; the test below makes them anew where it is installed."""
    recorded = [7.5, 5.89579, 1.05446, 0.0, 2.63895]
    assert cider(CAPTIONS, REFERENCES) == pytest.approx(recorded, abs=1e-5)


def test_cider_equals_the_coco_code():
    """pip install --no-deps pycocoevalcap: 100 MB, so only where somebody wants to look."""
    module = pytest.importorskip("pycocoevalcap.cider.cider")
    columns = [{k: [caption] for k, caption in enumerate(CAPTIONS)}, dict(enumerate(REFERENCES))]
    mean, each = module.Cider().compute_score(columns[1], columns[0])
    ours = cider(CAPTIONS, REFERENCES)
    assert ours == pytest.approx(list(each), abs=1e-12) and sum(ours) / len(ours) == pytest.approx(mean)


@pytest.mark.parametrize("metric", [exact_match, bleu4, cider])
def test_bad_input_is_refused(metric):
    with pytest.raises(ValueError, match="captions has 2, references has 1; they belong together"):
        metric(["a", "b"], [["a"]])
    with pytest.raises(TypeError, match=r"references\[0\] is one string, .* a list; try \[references\[0\]\]"):
        metric(["a"], ["a"])
    with pytest.raises(ValueError, match=r"rows \[1\] have no reference"):
        metric(["a", "b"], [["a"], []])
