import pytest
import torch

from course_lib.data.symbols import make_matching_pairs, make_symbol_pairs

TRUTH = {"xor": [0, 1, 1, 0], "and": [0, 0, 0, 1], "or": [0, 1, 1, 1]}


@pytest.mark.parametrize("rule", TRUTH)
def test_label_follows_the_truth_table(rule):
    pairs = make_symbol_pairs(200, rule=rule, seed=3)
    table = torch.tensor(TRUTH[rule])
    assert torch.equal(pairs.label, table[2 * pairs.image_symbol + pairs.text_symbol])


def test_copy_shows_the_label_in_both_modalities():
    pairs = make_symbol_pairs(50, rule="copy", seed=3)
    assert torch.equal(pairs.label, pairs.image_symbol) and torch.equal(pairs.label, pairs.text_symbol)


def test_all_four_combinations_are_equally_likely():
    pairs = make_symbol_pairs(4000, rule="xor", seed=0)
    counts = torch.bincount(2 * pairs.image_symbol + pairs.text_symbol, minlength=4)
    assert (counts - 1000).abs().max() < 120  # four standard deviations of a binomial


def test_noise_and_prototypes_are_as_described():
    pairs = make_symbol_pairs(5000, rule="xor", seed=1, noise=0.3, width=7)
    for symbol in (0, 1):
        chosen = pairs.image[pairs.image_symbol == symbol]
        assert chosen.shape[1] == 7
        torch.testing.assert_close(chosen.std(dim=0), torch.full((7,), 0.3), atol=0.03, rtol=0)
    other = make_symbol_pairs(5000, rule="xor", seed=2, noise=0.3, width=7)
    means = [p.image[p.image_symbol == 1].mean(dim=0) for p in (pairs, other)]
    torch.testing.assert_close(*means, atol=0.04, rtol=0)  # one world, two samples


def test_seeds_repeat_and_differ():
    first, again, other = (make_symbol_pairs(20, rule="or", seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.text, again.text) and not torch.equal(first.text, other.text)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="rule 'nand' is unknown; choose from"):
        make_symbol_pairs(4, rule="nand", seed=0)


def test_matching_label_is_equality_and_half_plus_luck_match():
    pairs = make_matching_pairs(4000, things=5, seed=0, noise=0.0)
    assert torch.equal(pairs.label, (pairs.image.argmax(1) == pairs.text.argmax(1)).long())
    assert pairs.image.shape == (4000, 5)
    assert abs(pairs.label.float().mean().item() - (0.5 + 0.5 / 5)) < 0.03
    with pytest.raises(ValueError, match="1 things"):
        make_matching_pairs(4, things=1, seed=0)
