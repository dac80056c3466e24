import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from course_lib.metrics.hallucination import Probe, chair, pope, pope_probes

PRESENT = [{"cat", "dog"}, {"cat"}, {"cat", "sofa"}, {"dog", "ball", "cat"}, {"boat", "kite"}]


def test_chair_counts_mentions_and_captions():
    mentioned = [["cat", "dog", "boat"], ["cat", "sofa", "sofa"], [], ["ball"], ["boat"]]
    found = chair(mentioned, PRESENT)
    assert found.instance == 3 / 8  # boat, and sofa twice, of eight mentions
    assert found.sentence == 2 / 5
    assert found.recall == 5 / 10
    assert chair([["cat", "cat", "cat"]], [{"cat", "dog"}]).recall == 1 / 2  # said three times, found once


def test_silence_has_no_hallucinations_and_no_recall():
    assert chair([[], []], PRESENT[:2]) == (0, 0, 0)


def test_half_of_the_probes_deserve_a_yes_and_tell_the_truth():
    for sampling in ("random", "popular", "adversarial"):
        probes = pope_probes(PRESENT, sampling)
        assert sum(probe.answer for probe in probes) == len(probes) / 2 == 10
        assert all((probe.name in PRESENT[probe.image]) == probe.answer for probe in probes)
        assert len(set(probes)) == len(probes)


def names(sampling, image, **options):
    return [
        probe.name for probe in pope_probes(PRESENT, sampling, **options) if probe.image == image and not probe.answer
    ]


def test_popular_asks_for_what_most_images_show():
    assert names("popular", 4) == ["cat", "dog"]  # in 4 and in 2 of 5 images
    assert names("popular", 1) == ["dog"]  # in 2; the others in 1
    assert names("popular", 0) == ["ball", "boat"]  # a tie by the alphabet


def test_adversarial_asks_for_what_stands_beside_what_is_there():
    assert names("adversarial", 1) == ["dog"]  # twice beside a cat
    assert names("adversarial", 2) == ["dog", "ball"]  # sofa and cat: dog 0 + 2, ball 0 + 1, boat 0
    pairs = [
        *[{"cat", "sofa"}] * 3,
        *[{"cat", "ball"}, {"dog", "ball"}] * 2,
        {"boat", "kite"},
    ]  # ball 2 + 2, sofa 3 + 0
    assert names("adversarial", 0, corpus=pairs)[0] == "ball"
    other = [{"boat", "sofa"}, {"boat", "sofa"}, {"cat"}, {"dog"}, {"ball", "kite"}]
    assert names("adversarial", 4, corpus=other) == ["sofa", "ball"]
    assert names("popular", 4, corpus=[*other, {"cat"}, {"cat"}]) == ["cat", "sofa"]


def test_random_depends_on_the_seed_only():
    many = PRESENT * 20
    assert pope_probes(many, "random", seed=3) == pope_probes(many, "random", seed=3)
    assert pope_probes(many, "random", seed=3) != pope_probes(many, "random", seed=4)


def test_pope_equals_sklearn():
    probes = [Probe(0, str(k), answer) for k, answer in enumerate([True, True, True, False, False, False, False])]
    said = [True, False, True, True, False, False, True]
    truth = [probe.answer for probe in probes]
    found = pope(said, probes)
    assert found.accuracy == pytest.approx(accuracy_score(truth, said))
    assert found.precision == pytest.approx(precision_score(truth, said))
    assert found.recall == pytest.approx(recall_score(truth, said))
    assert found.f1 == pytest.approx(f1_score(truth, said))
    assert found.yes_rate == pytest.approx(4 / 7)


def test_always_yes_and_always_no():
    probes = pope_probes(PRESENT, "random")
    assert pope([True] * 20, probes) == pytest.approx((0.5, 0.5, 1, 2 / 3, 1))
    assert pope([False] * 20, probes) == (0.5, 0, 0, 0, 0)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="sampling is 'frequent'; choose from random, popular, adversarial"):
        pope_probes(PRESENT, "frequent")
    with pytest.raises(ValueError, match="image 0 shows 2 objects and only 1 of 3 names are absent"):
        pope_probes([{"a", "b"}, {"c"}], "random")
    with pytest.raises(ValueError, match=r"image 2 shows \['sofa'\], which names= leaves out"):
        pope_probes(PRESENT, "random", names=["cat", "dog", "ball", "kite", "boat"])
    with pytest.raises(ValueError, match="said_yes has 1, probes has 20"):
        pope([True], pope_probes(PRESENT, "random"))
    with pytest.raises(ValueError, match="present is empty"):
        chair([], [])
