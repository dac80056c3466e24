"""Attribution: captum's own numbers by hand, hand arithmetic on linear models, completeness, chunks, parts and totals.

Axes: B=3, T=5, width 12, images 3 x 8 x 8 in 4 x 4 blocks, K=7.
"""

import captum.attr as captum
import pytest
import torch
from captum.attr._utils.input_layer_wrapper import ModelInputWrapper
from torch import nn

from course_lib.explain.attribution import attribute
from course_lib.explain.methods import METHODS
from course_lib.explain.regions import block_regions
from course_lib.models.vqa import VqaTransformer

TARGET = torch.tensor([6, 0, 3])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(3, 3, 8, 8, generator=generator)
    return {"image": image, "ids": torch.tensor([[1, 4, 5, 2, 0], [1, 7, 3, 9, 2], [1, 10, 2, 0, 0]])}


class Linear(nn.Module):
    """score_k = Σ image · weight_k + table[ids] summed; every contribution is known."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.image = nn.Linear(3 * 4 * 6, 5)
        self.table = nn.Embedding(8, 5)

    def forward(self, image, ids):
        return self.image(image.flatten(1)) + self.table(ids).sum(dim=1)


def linear_case():
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 3, 4, 6, generator=generator)
    return Linear().eval(), {"image": image, "ids": torch.tensor([[1, 2, 3], [4, 5, 7]])}, torch.tensor([4, 1])


def truth_of_linear(model, inputs, target, baseline=0.25, blank=6):
    """weight times (x - baseline) per pixel, table[id] - table[baseline id] per word."""
    image = (inputs["image"] - baseline) * model.image.weight[target].view(2, 3, 4, 6)
    rows = torch.arange(2)
    words = model.table(inputs["ids"])[rows, :, target] - model.table(torch.tensor(blank))[target][:, None]
    return image.detach(), words.detach()


@pytest.mark.parametrize("method", ["integrated_gradients", "deep_lift", "gradient_shap"])
def test_path_methods_on_a_linear_model_by_hand(method):
    model, inputs, target = linear_case()
    answer = attribute(model, inputs, target, method=method, baselines={"image": 0.25, "ids": 6})
    image, words = truth_of_linear(model, inputs, target)
    torch.testing.assert_close(answer.parts["image"], image, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(answer.map("ids"), words, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(answer.gap, torch.zeros(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "tolerance"), [("feature_ablation", 1e-5), ("shapley", 1e-5), ("kernel_shap", 2e-3), ("occlusion", 1e-5)]
)
def test_region_methods_on_a_linear_model_by_hand(method, tolerance):
    """On a linear model a region's value is the sum of its pixels' contributions, whatever else is there."""
    model, inputs, target = linear_case()
    blocks = block_regions(4, 6, 2)
    options = {"regions": {"image": blocks}} if method != "occlusion" else {"windows": {"image": (3, 2, 3)}}
    answer = attribute(model, inputs, target, method=method, baselines={"image": 0.25, "ids": 6}, **options)
    image, words = truth_of_linear(model, inputs, target)
    for number in range(4):
        of_region = (image.sum(1) * (blocks == number)).sum(dim=(1, 2))
        row, column = (blocks == number).nonzero()[0].tolist()
        torch.testing.assert_close(answer.map("image")[:, row, column], of_region, rtol=1e-3, atol=tolerance)
    torch.testing.assert_close(answer.map("ids"), words, rtol=1e-3, atol=tolerance)
    torch.testing.assert_close(answer.total("image"), image.sum(dim=(1, 2, 3)), rtol=1e-3, atol=tolerance * 4)
    torch.testing.assert_close(answer.total("ids"), words.sum(dim=1), rtol=1e-3, atol=tolerance * 4)


def test_saliency_and_input_x_gradient_on_a_linear_model_by_hand():
    model, inputs, target = linear_case()
    weight = model.image.weight[target].view(2, 3, 4, 6).detach()
    torch.testing.assert_close(attribute(model, inputs, target, method="saliency").parts["image"], weight.abs())
    signed = attribute(model, inputs, target, method="saliency", absolute=False)
    torch.testing.assert_close(signed.parts["image"], weight)
    times = attribute(model, inputs, target, method="input_x_gradient")
    torch.testing.assert_close(times.parts["image"], weight * inputs["image"])
    assert times.gap is None and times.baselines == {} and times.baseline_scores is None


def test_joint_integrated_gradients_are_captum_s_layer_form(model, inputs):
    """By hand: captum's wrapper makes a layer of the image, and the layer form takes it together with the embedding."""

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, image, ids):
            return self.inner(image, ids).logits

    wrapped = ModelInputWrapper(Logits())
    layers = [wrapped.input_maps["image"], wrapped.module.inner.words]
    blank = (torch.zeros_like(inputs["image"]), torch.zeros_like(inputs["ids"]))
    by_hand = captum.LayerIntegratedGradients(wrapped, layers).attribute(
        (inputs["image"], inputs["ids"]), baselines=blank, target=TARGET, n_steps=20
    )
    # captum feeds the baseline ids along the path, so padding masks follow them; ours keeps the true ids' masks
    unpadded = {"image": inputs["image"][1:2], "ids": inputs["ids"][1:2]}
    assert by_hand[1].shape == (3, 5, 12)
    reference = captum.IntegratedGradients(
        lambda image, embedded: _logits_from(model, image, embedded, unpadded["ids"].expand(len(image), -1))
    ).attribute(
        (unpadded["image"], model.words(unpadded["ids"])),
        baselines=(blank[0][1:2], model.words(blank[1][1:2])),
        target=TARGET[1:2],
        n_steps=20,
    )
    ours = attribute(model, unpadded, TARGET[1:2], steps=20)
    torch.testing.assert_close(ours.parts["image"], reference[0].detach())
    torch.testing.assert_close(ours.parts["ids"], reference[1].detach())
    torch.testing.assert_close(ours.parts["image"], by_hand[0][1:2].detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.parts["ids"], by_hand[1][1:2].detach(), rtol=1e-4, atol=1e-6)


def _logits_from(model, image, embedded, ids):
    """The model's forward pass written out for embeddings instead of ids."""
    words = embedded + model.word_positions[: ids.shape[1]]
    patches = model.patches(image).flatten(start_dim=2).transpose(1, 2) + model.patch_positions
    tokens = torch.cat([words, patches], dim=1)
    mask = torch.cat([ids != 0, torch.ones(patches.shape[:2], dtype=torch.bool)], dim=1)
    for block in model.blocks:
        tokens, _ = block(tokens, mask)
    return model.head(model.norm(tokens[:, 0]))


def logits_of(model, ids):
    return lambda image: model(image, ids.repeat(len(image) // len(ids), 1)).logits


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        ("saliency", lambda f, x, o: captum.Saliency(f).attribute(x, target=TARGET)),
        ("input_x_gradient", lambda f, x, o: captum.InputXGradient(f).attribute(x, target=TARGET)),
        ("integrated_gradients", lambda f, x, o: captum.IntegratedGradients(f).attribute(x, o, target=TARGET)),
        (
            "occlusion",
            lambda f, x, o: captum.Occlusion(f).attribute(x, (3, 2, 2), (3, 2, 2), baselines=o, target=TARGET),
        ),
    ],
)
def test_an_image_alone_gets_captum_s_numbers(model, inputs, method, by_hand):
    image, ids = inputs["image"], inputs["ids"]
    blank = torch.full_like(image, 0.5)
    baseline = {"baselines": {"image": 0.5}} if METHODS[method].baseline else {}
    ours = attribute(model, {"image": image}, TARGET, method=method, fixed={"ids": ids}, **baseline)
    assert list(ours.parts) == ["image"]
    torch.testing.assert_close(ours.parts["image"], by_hand(logits_of(model, ids), image, blank).detach())


@pytest.mark.parametrize("method", ["feature_ablation", "shapley", "lime", "kernel_shap"])
def test_perturbations_of_image_and_words_get_captum_s_numbers(model, inputs, method):
    """By hand, one example: tuple of pixels and ids, one numbering of features, the same seed."""
    image, ids = inputs["image"][1:2], inputs["ids"][1:2]
    masks = (block_regions(8, 8, 4).view(1, 1, 8, 8).repeat(1, 3, 1, 1), torch.arange(16, 21)[None])
    kinds = {
        "feature_ablation": captum.FeatureAblation,
        "shapley": captum.ShapleyValueSampling,
        "lime": captum.Lime,
        "kernel_shap": captum.KernelShap,
    }
    settings = {} if method == "feature_ablation" else {"n_samples": 30}
    torch.manual_seed(5)
    by_hand = kinds[method](lambda x, t: model(x, t).logits).attribute(
        (image, ids), target=3, baselines=(torch.zeros_like(image), 0), feature_mask=masks, **settings
    )
    options = {} if method == "feature_ablation" else {"samples": 30}
    ours = attribute(model, {"image": image, "ids": ids}, 3, method=method, seed=5, **options)
    for name, part in zip(("image", "ids"), by_hand, strict=True):
        torch.testing.assert_close(ours.parts[name], part, rtol=1e-4, atol=1e-5, check_dtype=False)


def test_grad_cam_is_captum_s_map_enlarged(model, inputs):
    ours = attribute(model, inputs, TARGET, method="grad_cam", layer=model.patches)
    found = captum.LayerGradCam(lambda x, t: model(x, t).logits, model.patches).attribute(
        inputs["image"], target=TARGET, additional_forward_args=inputs["ids"], relu_attributions=True
    )
    assert found.shape == (3, 1, 2, 2) and list(ours.parts) == ["image"]
    enlarged = nn.functional.interpolate(found, (8, 8), mode="bilinear")
    torch.testing.assert_close(ours.parts["image"], enlarged.detach())
    assert ours.map("image").shape == (3, 8, 8)


def test_deep_lift_of_a_relu_network_is_captum_s_and_complete():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4)).eval()

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, features):
            return self.network(features)

    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    ours = attribute(Named().eval(), {"features": x}, 2, method="deep_lift", rows=4)
    torch.testing.assert_close(ours.parts["features"], captum.DeepLift(network).attribute(x, target=2).detach())
    torch.testing.assert_close(ours.gap, torch.zeros(5), rtol=0, atol=1e-5)


def test_deep_lift_refuses_a_model_whose_steps_it_cannot_rewrite(model, inputs):
    with pytest.raises(ValueError, match="deep_lift is off by .* try method='integrated_gradients'"):
        attribute(model, inputs, TARGET, method="deep_lift")


@pytest.mark.parametrize("method", [name for name, each in METHODS.items() if each.complete and name != "deep_lift"])
def test_contributions_add_up_to_score_minus_baseline_score(model, inputs, method):
    answer = attribute(model, inputs, TARGET, method=method, baselines={"image": 0.3, "ids": 6})
    if method == "gradient_shap":  # complete on average over its random draws only
        assert float(answer.gap.abs().max()) < float((answer.scores - answer.baseline_scores).abs().max())
        return
    assert float(answer.gap.abs().max()) < 1e-3
    with torch.no_grad():
        whole = model(**inputs).logits[torch.arange(3), TARGET]
    torch.testing.assert_close(answer.scores, whole)
    torch.testing.assert_close(
        answer.total("image") + answer.total("ids"), whole - answer.baseline_scores, atol=1e-3, rtol=0
    )


def test_fewer_steps_leave_a_larger_gap(model, inputs):
    rough, fine = (
        attribute(model, inputs, TARGET, steps=steps, rule="riemann_left").gap.abs().max() for steps in (2, 60)
    )
    assert float(rough) > 5 * float(fine)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("deep_lift", "gradient_shap")])
def test_results_do_not_depend_on_chunks_or_company(model, inputs, method):
    """rows=2 cuts the three examples; the middle example alone gets what it gets in the batch."""
    layer = {"layer": model.patches} if method == "grad_cam" else {}
    whole = attribute(model, inputs, TARGET, method=method, **layer)
    cut = attribute(model, inputs, TARGET, method=method, rows=2, **layer)
    alone = attribute(model, {n: x[1:2] for n, x in inputs.items()}, 0, method=method, **layer)
    for name, part in whole.parts.items():
        torch.testing.assert_close(cut.parts[name], part, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(alone.parts[name], part[1:2], rtol=1e-3, atol=1e-5)


def test_random_methods_obey_the_seed_and_leave_the_generators_alone(model, inputs):
    before = torch.get_rng_state()
    one, same, other = (attribute(model, inputs, TARGET, method="shapley", samples=2, seed=seed) for seed in (1, 1, 2))
    torch.testing.assert_close(one.parts["ids"], same.parts["ids"], rtol=0, atol=0)
    assert not torch.equal(one.parts["ids"], other.parts["ids"])
    assert torch.equal(before, torch.get_rng_state())


def test_shares_find_a_model_that_ignores_the_image(inputs):
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.words, self.head = nn.Embedding(11, 12), nn.Linear(12, 7)

        def forward(self, image, ids):
            return self.head(self.words(ids).mean(dim=1).tanh())

    for method in ("integrated_gradients", "saliency", "shapley", "occlusion"):
        shares = attribute(Blind().eval(), inputs, TARGET, method=method).shares()
        torch.testing.assert_close(shares["image"], torch.zeros(3), rtol=0, atol=0)
        torch.testing.assert_close(shares["ids"], torch.ones(3))


def test_shares_count_each_region_once():
    """An image of 2 regions worth 1 and 3, and words worth 4: half and half, however many pixels a region has."""

    class Two(nn.Module):
        def forward(self, image, sound):
            return image[:, 0, 0, 0] + 3 * image[:, 0, 3, 3] + 4 * sound[:, 0, 0]

    ones = {"image": torch.ones(2, 1, 4, 4), "sound": torch.ones(2, 3, 5)}
    answer = attribute(Two().eval(), ones, method="feature_ablation", regions={"image": block_regions(4, 4, 2)})
    torch.testing.assert_close(answer.shares()["image"], torch.full((2,), 0.5))
    torch.testing.assert_close(answer.total("image"), torch.full((2,), 4.0))


def test_a_named_embedding_is_used_and_masks_are_held_fixed(inputs):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.words, self.other, self.head = nn.Embedding(11, 12), nn.Embedding(11, 12), nn.Linear(12, 7)

        def forward(self, ids, mask, scale=1.0):
            mixed = (self.words(ids) + self.other(ids)).tanh() * mask[..., None]
            return scale * self.head(mixed.sum(dim=1))

    model = Masked().eval()
    fixed = {"mask": (inputs["ids"] != 0).float(), "scale": 2.0}
    with pytest.raises(ValueError, match=r"'ids' is read by \['other', 'words'\]"):
        attribute(model, {"ids": inputs["ids"]}, TARGET, fixed=fixed)
    answer = attribute(model, {"ids": inputs["ids"]}, TARGET, fixed=fixed, embeddings={"ids": model.words})
    assert float(answer.map("ids")[inputs["ids"] == 0].abs().max()) == 0  # masked words contribute nothing
    assert float(answer.gap.abs().max()) < 1e-4


def test_the_baseline_used_is_in_the_result(model, inputs):
    picture = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(9))
    answer = attribute(model, inputs, TARGET, baselines={"image": picture})
    assert torch.equal(answer.baselines["image"], picture.expand(3, -1, -1, -1))
    assert torch.equal(answer.baselines["ids"], torch.zeros(3, 5, dtype=torch.int64))


def test_an_input_equal_to_its_baseline_gets_nothing(model, inputs):
    answer = attribute(model, inputs, TARGET, baselines={"image": inputs["image"]})
    assert float(answer.parts["image"].abs().max()) == 0
