"""Late fusion: hand numbers in both spaces, the veto, Bayes' rule, shift invariance, refusals. M=3, B=4, K=5."""

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from course_lib.models.late_fusion import fuse_logits, fuse_probabilities


@pytest.fixture
def as_learners():
    """Without the shape hook, as outside pytest: what our own messages say where a shape is wrong."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


IMAGE = torch.tensor([[0.9, 0.1]])
TEXT = torch.tensor([[0.2, 0.8]])


@pytest.mark.parametrize(
    ("weights", "first_class"),
    [
        (None, 0.6),  # sqrt(.9 * .2) : sqrt(.1 * .8) = sqrt(18 : 8) = 3 : 2
        ((1.0, 1.0), 18 / 26),  # .9 * .2 : .1 * .8 = 18 : 8, the product of experts
        ((1.0, 0.0), 0.9),
        ((0.0, 2.0), 0.04 / 0.68),  # .2² : .8², one expert heard twice
    ],
)
def test_log_space_by_hand(weights, first_class):
    fused = fuse_logits(IMAGE.log(), TEXT.log(), weights=weights).exp()
    torch.testing.assert_close(fused, torch.tensor([[first_class, 1 - first_class]]))


@pytest.mark.parametrize(("weights", "first_class"), [(None, 0.55), ((0.75, 0.25), 0.725), ((0.0, 1.0), 0.2)])
def test_probability_space_by_hand(weights, first_class):
    fused = fuse_probabilities(IMAGE, TEXT, weights=weights)
    torch.testing.assert_close(fused, torch.tensor([[first_class, 1 - first_class]]))


def test_only_log_space_lets_one_modality_veto():
    image, text = torch.tensor([[0.98, 0.01, 0.01]]), torch.tensor([[1e-6, 0.5, 0.5 - 1e-6]])
    assert fuse_probabilities(image, text).argmax().item() == 0
    assert fuse_logits(image.log(), text.log()).argmax().item() != 0


@pytest.mark.parametrize("prior", [None, torch.tensor([0.1, 0.3, 0.6])])
def test_product_of_experts_is_bayes_rule_for_independent_modalities(prior):
    """Two symptoms, independent given the class, both present: the posterior of both, counted out."""
    symptom_given_class = torch.tensor([[0.9, 0.3, 0.2], [0.4, 0.6, 0.7]])  # (modality, class)
    frequency = torch.full((3,), 1 / 3) if prior is None else prior
    alone = symptom_given_class * frequency
    joint = symptom_given_class.prod(dim=0) * frequency
    fused = fuse_logits(*(alone / alone.sum(dim=1, keepdim=True))[:, None].log(), weights=(1.0, 1.0), prior=prior).exp()
    torch.testing.assert_close(fused[0], joint / joint.sum())


def test_the_prior_is_idle_when_weights_sum_to_one():
    logits, prior = normal(3, 4, 5, seed=1), torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    torch.testing.assert_close(fuse_logits(*logits, prior=prior), fuse_logits(*logits))


def test_two_modalities_and_two_classes_choose_the_same_in_both_spaces_but_three_of_either_do_not():
    def choices(modalities, classes):
        logits = 2 * normal(modalities, 500, classes, seed=6)
        return fuse_logits(*logits).argmax(1), fuse_probabilities(*logits.softmax(-1)).argmax(1)

    assert torch.equal(*choices(2, 2))
    assert not torch.equal(*choices(2, 3))
    assert not torch.equal(*choices(3, 2))


def test_logits_of_three_modalities_by_cross_entropy_and_shift():
    logits, weights = normal(3, 4, 5, seed=1), torch.tensor([0.5, 0.2, 0.9])
    fused = fuse_logits(*logits, weights=weights)
    torch.testing.assert_close(fused.exp().sum(dim=1), torch.ones(4))
    labels = torch.tensor([0, 4, 2, 2])
    pooled = torch.einsum("m,mbk->bk", weights, logits.log_softmax(dim=-1))
    torch.testing.assert_close(F.nll_loss(fused, labels), F.cross_entropy(pooled, labels))
    torch.testing.assert_close(
        fuse_logits(*(logits + 100 * normal(3, 4, 1)), weights=weights), fused, rtol=0, atol=1e-4
    )


def test_mixture_of_three_is_what_drawing_a_modality_gives():
    probabilities, weights = normal(3, 4, 5, seed=2).softmax(-1), torch.tensor([0.5, 0.2, 0.3])
    fused = fuse_probabilities(*probabilities, weights=weights)
    torch.testing.assert_close(fused, torch.einsum("m,mbk->bk", weights, probabilities))
    assert (fused.max(dim=1).values <= probabilities.amax(dim=(0, 2)) + 1e-6).all()


def test_equal_weights_are_the_default():
    logits = normal(3, 4, 5, seed=3)
    torch.testing.assert_close(fuse_logits(*logits), fuse_logits(*logits, weights=[1 / 3] * 3))
    torch.testing.assert_close(fuse_probabilities(*logits.softmax(-1)), logits.softmax(-1).mean(dim=0))


def test_the_gradient_reaches_learned_weights():
    weights = torch.tensor([0.5, 0.5], requires_grad=True)
    fuse_logits(IMAGE.log(), TEXT.log(), weights=weights)[0, 0].backward()
    # d log p_0 / d w_m = log p_m0 - Σ_k p_k log p_mk, with p = (0.6, 0.4)
    expected = [
        IMAGE[0, 0].log() - (0.6 * IMAGE[0, 0].log() + 0.4 * IMAGE[0, 1].log()),
        TEXT[0, 0].log() - (0.6 * TEXT[0, 0].log() + 0.4 * TEXT[0, 1].log()),
    ]
    torch.testing.assert_close(weights.grad, torch.stack(expected))


def test_training_through_either_gives_no_warning(recwarn):
    weights, logits = torch.tensor([0.4, 0.6], requires_grad=True), normal(2, 4, 5).requires_grad_()
    fuse_logits(*logits, weights=weights).sum().backward()
    fuse_probabilities(*logits.softmax(-1), weights=weights)[:, 0].sum().backward()
    assert [str(warning.message) for warning in recwarn] == []


def test_logits_passed_as_probabilities_are_refused():
    with pytest.raises(
        ValueError,
        match=r"1 of 2 rows of probabilities is no distribution .* at \[0, 0\]; .* sum to 1; try .softmax\(-1\)",
    ):
        fuse_probabilities(torch.tensor([[3.0, 1.0]]), TEXT)
    with pytest.raises(ValueError, match="; probabilities are 0 or more"):
        fuse_probabilities(torch.tensor([[1.5, -0.5]]), TEXT)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"weights \[1.0, 1.0\] sum to 2, not 1; divide"):
        fuse_probabilities(IMAGE, TEXT, weights=(1.0, 1.0))
    with pytest.raises(ValueError, match="hold a negative one"):
        fuse_logits(IMAGE.log(), TEXT.log(), weights=(2.0, -1.0))
    with pytest.raises(ValueError, match=r"weights \[0.0, 0.0\] are all zero"):
        fuse_logits(IMAGE.log(), TEXT.log(), weights=(0.0, 0.0))
    with pytest.raises(ValueError, match="3 weights .* came for 2 modalities"):
        fuse_logits(IMAGE.log(), TEXT.log(), weights=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("prior", [torch.tensor([0.5, 0.6]), torch.tensor([0.0, 1.0])])
def test_a_prior_that_is_none_is_refused(prior):
    with pytest.raises(ValueError, match=r"prior \[.*\] must be positive and sum to 1; try class counts"):
        fuse_logits(IMAGE.log(), TEXT.log(), weights=(1.0, 1.0), prior=prior)


@pytest.mark.parametrize("fuse", [fuse_logits, fuse_probabilities])
def test_no_modality_and_different_classes_are_refused(as_learners, fuse):
    with pytest.raises(ValueError, match="no modality came; give one"):
        fuse()
    with pytest.raises(
        ValueError, match=r"\[1\] has shape \(1, 3\), .* K = 2 .*; each has one number for each of the same classes"
    ):
        fuse(IMAGE, torch.tensor([[0.2, 0.3, 0.5]]))
