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


def test_product_of_experts_is_bayes_rule_for_independent_modalities():
    """Two binary symptoms, independent given an equally frequent class: the posterior of both, counted out."""
    seen_given_class = torch.tensor([[0.9, 0.3, 0.2], [0.4, 0.6, 0.7]])  # (modality, class), symptom present in both
    alone = seen_given_class / seen_given_class.sum(dim=1, keepdim=True)
    joint = seen_given_class.prod(dim=0)
    fused = fuse_logits(*alone[:, None].log(), weights=(1.0, 1.0)).exp()
    torch.testing.assert_close(fused[0], joint / joint.sum())


def test_logits_of_three_modalities_by_cross_entropy_and_shift():
    logits, weights = normal(3, 4, 5, seed=1), torch.tensor([0.5, 0.2, 0.9])
    fused = fuse_logits(*logits, weights=weights)
    torch.testing.assert_close(fused.exp().sum(dim=1), torch.ones(4))
    labels = torch.tensor([0, 4, 2, 2])
    plain_sum = torch.einsum("m,mbk->bk", weights, logits)  # cross-entropy normalises, so log_softmax inside is idle
    torch.testing.assert_close(F.nll_loss(fused, labels), F.cross_entropy(plain_sum, labels))
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


def test_logits_passed_as_probabilities_are_refused():
    with pytest.raises(ValueError, match=r"rows of probabilities .* off by 3; try .softmax\(-1\)"):
        fuse_probabilities(torch.tensor([[3.0, 1.0]]), TEXT)
    with pytest.raises(ValueError, match="must be ≥ 0"):
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


@pytest.mark.parametrize("fuse", [fuse_logits, fuse_probabilities])
def test_no_modality_and_different_classes_are_refused(as_learners, fuse):
    with pytest.raises(ValueError, match="no modality came; give one"):
        fuse()
    with pytest.raises(ValueError, match=r"shapes \[\(1, 2\), \(1, 3\)\] do not line up; .* same K classes"):
        fuse(IMAGE, torch.tensor([[0.2, 0.3, 0.5]]))
