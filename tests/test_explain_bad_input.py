"""Every request that makes no sense gets its own error, which says what came, what fits and what to try."""

import jaxtyping
import pytest
import torch
from torch import nn

from course_lib.explain.attribution import attribute
from course_lib.explain.regions import block_regions
from course_lib.models.vqa import VqaTransformer

TARGET = torch.tensor([6, 0])


@pytest.fixture(autouse=True)
def as_learners():
    """Without the shape hook, as outside pytest: what our own messages say."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()


@pytest.fixture
def inputs():
    return {
        "image": torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)),
        "ids": torch.tensor([[1, 4, 5, 9, 2], [1, 7, 3, 2, 0]]),
    }


def test_an_unknown_method_lists_the_known_ones(model, inputs):
    with pytest.raises(
        ValueError, match=r"method \['lrp'\] is unknown here; choose from \['saliency', .*'kernel_shap'\]"
    ):
        attribute(model, inputs, TARGET, method="lrp")


def test_an_option_of_another_method_is_not_ignored(model, inputs):
    with pytest.raises(ValueError, match=r"option of saliency \['steps'\] is unknown here; choose from \['absolute'\]"):
        attribute(model, inputs, TARGET, method="saliency", steps=20)


@pytest.mark.parametrize(
    ("method", "extra"),
    [
        ("saliency", {"baselines": {"image": 1.0}}),
        ("integrated_gradients", {"regions": {"image": block_regions(8, 8)}}),
        ("occlusion", {"layer": nn.Identity()}),
    ],
)
def test_an_argument_that_the_method_would_not_look_at_is_refused(model, inputs, method, extra):
    with pytest.raises(ValueError, match=f"{method} does not use {next(iter(extra))}="):
        attribute(model, inputs, TARGET, method=method, **extra)


def test_a_missing_modality_is_named_with_what_the_model_takes(model, inputs):
    with pytest.raises(ValueError, match=r"missing \['ids'\]; its forward takes \['image', 'ids'\]"):
        attribute(model, {"image": inputs["image"]}, TARGET)


def test_an_unknown_modality_is_named(model, inputs):
    with pytest.raises(ValueError, match=r"unknown \['sound'\]"):
        attribute(model, {**inputs, "sound": torch.zeros(2, 5)}, TARGET)


def test_no_modality_at_all(model):
    with pytest.raises(ValueError, match="inputs is empty; name what to explain"):
        attribute(model, {}, TARGET)


def test_different_numbers_of_examples_are_counted(model, inputs):
    with pytest.raises(ValueError, match=r"different numbers of examples: \{'image': 2, 'ids': 1\}"):
        attribute(model, {"image": inputs["image"], "ids": inputs["ids"][:1]}, TARGET)


def test_an_input_both_explained_and_fixed(model, inputs):
    with pytest.raises(ValueError, match=r"\['ids'\] came both in inputs and in fixed"):
        attribute(model, inputs, TARGET, fixed={"ids": inputs["ids"]})


def test_an_input_that_is_no_tensor(model, inputs):
    with pytest.raises(TypeError, match=r"inputs must be tensors, but \{'ids': 'list'\}"):
        attribute(model, {"image": inputs["image"], "ids": inputs["ids"].tolist()}, TARGET)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, r"target is missing: the model scores 7 classes; give one of 0 to 6"),
        (7, r"target holds 7 to 7, but classes are 0 to 6"),
        (torch.tensor([3, -1]), r"target holds -1 to 3"),
        (torch.tensor([3, 1, 2]), r"target of shape \(3,\) .* integer tensor of shape \(2,\)"),
    ],
    ids=["missing", "too large", "negative", "wrong length"],
)
def test_a_wrong_target_is_refused_with_the_classes_there_are(model, inputs, target, message):
    with pytest.raises(ValueError, match=message):
        attribute(model, inputs, target)


def test_a_target_that_is_not_whole(model, inputs):
    with pytest.raises(TypeError, match="target holds float32, but attribute takes integers"):
        attribute(model, inputs, torch.tensor([0.0, 1.0]))


def test_a_target_for_a_model_with_one_score(inputs):
    class Mean(nn.Module):
        def forward(self, image):
            return image.mean(dim=(1, 2, 3))

    with pytest.raises(ValueError, match="one score an example; leave target out"):
        attribute(Mean().eval(), {"image": inputs["image"]}, 1)
    answer = attribute(Mean().eval(), {"image": inputs["image"]})
    torch.testing.assert_close(answer.parts["image"], inputs["image"] / (3 * 8 * 8))


def test_a_model_in_train_mode_is_named_down_to_the_module(model, inputs):
    model.blocks[1].feed.train()
    with pytest.raises(
        ValueError, match=r"modules are in train mode \(the first: blocks.1.feed\).*call model.eval\(\)"
    ):
        attribute(model, inputs, TARGET)


def test_ids_without_an_embedding_have_no_gradient():
    class OneHot(nn.Module):
        def forward(self, ids):
            return nn.functional.one_hot(ids, 11).float().sum(dim=1)

    ids = torch.tensor([[1, 4, 2], [3, 3, 9]])
    with pytest.raises(
        ValueError, match=r"none for \{'ids': 'torch.int64'\}.*without gradients, such as feature_ablation"
    ):
        attribute(OneHot().eval(), {"ids": ids}, 3)
    ablated = attribute(OneHot().eval(), {"ids": ids}, 3, method="feature_ablation")
    torch.testing.assert_close(ablated.map("ids"), torch.tensor([[0.0, 0, 0], [1, 1, 0]]))


def test_a_step_that_cuts_the_gradient_is_found_and_not_taken_for_irrelevance(inputs):
    class Rounded(nn.Module):
        def forward(self, image, gain):
            return (image * 4).round().sum(dim=(2, 3)) + 0 * gain

    image = {"image": inputs["image"], "gain": torch.ones(2, 1)}
    with pytest.raises(ValueError, match=r"'image' changes the score, but no gradient leads back to it"):
        attribute(_Detached().eval(), image, 1)
    assert float(attribute(Rounded().eval(), image, 1, method="occlusion").parts["image"].abs().max()) > 0


class _Detached(nn.Module):
    def forward(self, image, gain):
        return image.detach().sum(dim=(2, 3)) * gain


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        ({"image": torch.zeros(2, 8, 8)}, r"baseline of 'image' has shape \(2, 8, 8\), its input \(2, 3, 8, 8\)"),
        ({"ids": torch.zeros(4, dtype=torch.int64)}, r"baseline of 'ids' has shape \(4,\), its input \(2, 5\)"),
        ({"ids": torch.zeros(5)}, r"baseline of 'ids' is torch.float32, but it must be an id"),
        ({"sound": 0}, r"baseline of \['sound'\] is unknown here; choose from \['image', 'ids'\]"),
    ],
)
def test_a_baseline_of_the_wrong_shape_kind_or_name(model, inputs, baselines, message):
    with pytest.raises(ValueError, match=message):
        attribute(model, inputs, TARGET, baselines=baselines)


def test_regions_that_do_not_cover_the_image(model, inputs):
    with pytest.raises(ValueError, match=r"regions of 'image' have shape \(4, 4\).*\(3, 8, 8\)"):
        attribute(model, inputs, TARGET, method="feature_ablation", regions={"image": block_regions(4, 4)})


def test_grad_cam_without_a_layer_without_an_image_or_with_a_layer_of_tokens(model, inputs):
    with pytest.raises(ValueError, match=r"grad_cam needs layer=, a module whose output is \(B, channels"):
        attribute(model, inputs, TARGET, method="grad_cam")
    with pytest.raises(ValueError, match="grad_cam needs an image among the inputs"):
        attribute(
            model,
            {"ids": inputs["ids"]},
            TARGET,
            method="grad_cam",
            layer=model.patches,
            fixed={"image": inputs["image"]},
        )
    with pytest.raises(ValueError, match="use relevance.gradient_relevance"):
        attribute(model, inputs, TARGET, method="grad_cam", layer=model.blocks[0].feed)


def test_an_output_that_holds_no_scores_asks_for_read(inputs):
    class Sequence(nn.Module):
        def forward(self, image):
            return image.mean(dim=1)

    class Dictionary(nn.Module):
        def forward(self, image):
            return {"similarity": image.mean(dim=(2, 3))}

    image = {"image": inputs["image"]}
    with pytest.raises(ValueError, match=r"scores of \(2, 8, 8\) came.*read=lambda out: out.logits"):
        attribute(Sequence().eval(), image, 1)
    with pytest.raises(ValueError, match="the model returned dict, which is no tensor and has no `logits`"):
        attribute(Dictionary().eval(), image, 1)
    found = attribute(Dictionary().eval(), image, 1, read=lambda out: out["similarity"])
    torch.testing.assert_close(found.parts["image"][:, 1], inputs["image"][:, 1] / 64)
    assert float(found.parts["image"][:, 0].abs().max()) == 0


def test_scores_of_the_whole_batch_at_once(inputs):
    class Pooled(nn.Module):
        def forward(self, image):
            return image.mean(dim=(0, 2, 3))[None]

    with pytest.raises(ValueError, match="the model gave 1 rows of scores for 2 examples"):
        attribute(Pooled().eval(), {"image": inputs["image"]}, 1)


def test_an_embedding_that_runs_twice(inputs):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(11, 4)

        def forward(self, ids):
            return self.words(ids).sum(dim=1) + self.words(ids).tanh().sum(dim=1)

    with pytest.raises(ValueError, match="the embedding of 'ids' ran 2 times in one forward pass"):
        attribute(Tied().eval(), {"ids": inputs["ids"]}, 1)


def test_a_part_that_is_not_there(model, inputs):
    with pytest.raises(ValueError, match=r"part \['sound'\] is unknown here; choose from \['image', 'ids'\]"):
        attribute(model, inputs, TARGET, method="saliency").map("sound")


def test_no_rows_at_all(model, inputs):
    with pytest.raises(ValueError, match="rows=0 lets no example through"):
        attribute(model, inputs, TARGET, rows=0)
