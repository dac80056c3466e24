"""Pictures: what was drawn is read back from the axes; maps are signed and symmetric; nothing is shown or saved."""

import jaxtyping
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib.explain.plots import show_heat, show_mel, show_pair, show_words, spread_patches
from course_lib.explain.plots_attention import draw_view, show_heads, show_patch_words, show_read_patches


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def as_learners():
    """Without the shape hook, as outside pytest: what our own messages say."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


IMAGE = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0))
HEAT = torch.linspace(-2.0, 1.0, 24).view(4, 6)


def test_heat_is_drawn_with_a_symmetric_scale_so_that_white_is_zero():
    fig, ax = show_heat(IMAGE, HEAT, mask=HEAT > 0, title="why")
    grey, heat = ax.get_images()
    np.testing.assert_allclose(grey.get_array(), IMAGE.mean(dim=0))
    np.testing.assert_allclose(heat.get_array(), HEAT)
    assert heat.get_clim() == (-2.0, 2.0) and ax.get_title() == "why"
    assert [each.get_ylabel() for each in fig.axes[1:]] == ["red: for the answer\nblue: against it"]
    assert len(ax.collections) == 1  # the outline of the object


def test_heat_goes_into_a_given_axis_with_a_given_limit_and_survives_a_map_of_zeros():
    fig, (left, right) = plt.subplots(1, 2)
    returned, ax = show_heat(IMAGE, HEAT, ax=right, limit=5.0, legend=False)
    assert returned is fig and ax is right and len(fig.axes) == 2 and not left.get_images()
    assert right.get_images()[1].get_clim() == (-5.0, 5.0)
    assert show_heat(IMAGE, torch.zeros(4, 6))[1].get_images()[1].get_clim() == (-1.0, 1.0)


def test_words_are_coloured_by_sign_and_labelled_with_their_value():
    fig, ax = show_words(["what", "colour", "?"], torch.tensor([1.0, -1.0, 0.0]))
    texts = {text.get_text(): text for text in ax.texts}
    assert set(texts) == {"what", "colour", "?", "+1.00", "-1.00", "+0.00"}
    red, blue, white = (texts[word].get_bbox_patch().get_facecolor() for word in ("what", "colour", "?"))
    assert red[0] > red[2] and blue[2] > blue[0] and min(white[:3]) > 0.9


def test_a_pair_draws_both_parts_and_one_scale_only_on_request():
    importance = torch.tensor([0.5, -4.0])
    fig, axes = show_pair(IMAGE, HEAT, ["a", "b"], importance)
    assert axes["heat"].get_images()[1].get_clim() == (-2.0, 2.0)
    np.testing.assert_allclose(axes["image"].get_images()[0].get_array(), IMAGE.permute(1, 2, 0))
    fig, axes = show_pair(IMAGE, HEAT, ["a", "b"], importance, common=True)
    assert axes["heat"].get_images()[1].get_clim() == (-4.0, 4.0)


def test_a_spectrogram_has_time_to_the_right_in_seconds_and_bands_upwards():
    mel, heat = torch.rand(5, 8), torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    fig, ax = show_mel(mel, heat, seconds=0.4)
    for drawn in ax.get_images():
        assert drawn.get_extent() == [0.0, 0.4, 0.0, 5.0] and drawn.origin == "lower"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time [s]", "mel band")


def test_every_head_of_every_layer_has_its_axis():
    maps = [torch.rand(3, 5, 7), torch.rand(2, 5, 7)]
    fig, axes = show_heads(maps, labels=list("abcdefg"), readers=4)
    assert axes.shape == (2, 3)
    np.testing.assert_allclose(axes[1, 0].get_images()[0].get_array(), maps[1][0, :4])
    assert not axes[1, 2].axison and axes[0, 2].get_title() == "layer 1, head 3"
    assert [label.get_text() for label in axes[0, 0].get_yticklabels()] == list("abcd")


def test_words_against_patches_with_a_line_after_each_row_of_the_grid():
    weights = torch.rand(3, 9)
    fig, ax = show_patch_words(weights, ["is", "there", "?"])
    np.testing.assert_allclose(ax.get_images()[0].get_array(), weights)
    assert [line.get_xdata()[0] for line in ax.get_lines()] == [2.5, 5.5]


def test_an_image_is_cut_into_the_patches_that_the_words_read():
    image, weights = torch.rand(3, 12, 12), torch.rand(2, 9)
    _, (left, right) = show_read_patches(image, weights, ["is", "?"])
    np.testing.assert_allclose(left.get_images()[0].get_array(), image.permute(1, 2, 0))
    assert [line.get_ydata()[0] for line in left.get_lines()[::2]] == [3.5, 7.5]
    np.testing.assert_allclose(right.get_images()[0].get_array(), weights)
    assert left.get_title() == "patches 0 to 8"


def test_patches_are_spread_row_by_row():
    spread = spread_patches(torch.arange(4.0), 4, 6)
    assert spread.tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2


def test_the_view_shows_the_patches_that_the_chosen_word_reads():
    maps = [torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    heats = {"saliency": HEAT, "occlusion": HEAT.flip(0)}
    settings = {"words": ["what", "?"], "maps": maps, "heats": heats, "patches": 4}
    fig, (left, middle, right) = draw_view(IMAGE, **settings, word="?", layer=2, head=1, method="occlusion")
    expected = spread_patches(maps[1][0, 1, 2:], 4, 6)
    np.testing.assert_allclose(middle.get_images()[0].get_array(), expected)
    np.testing.assert_allclose(right.get_images()[1].get_array(), HEAT.flip(0))
    fig, (_, middle, _) = draw_view(IMAGE, **settings, word="what", layer=1, head=0, method="saliency")
    expected = spread_patches(maps[0].mean(dim=0)[0, 2:], 4, 6)
    np.testing.assert_allclose(middle.get_images()[0].get_array(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="no view of word 'who', layer 1, head 0"):
        draw_view(IMAGE, **settings, word="who", layer=1, head=0, method="saliency")


@pytest.mark.usefixtures("as_learners")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: show_heat(IMAGE, torch.zeros(2, 3)),
            "heat has shape .* height = 4 as in image, .*spread_patches enlarges a map of patches",
        ),
        (lambda: show_words(["a"], torch.zeros(2)), "1 words and 2 values came"),
        (lambda: show_patch_words(torch.zeros(2, 4), ["a"]), "1 words for 2 rows"),
        (lambda: spread_patches(torch.zeros(5), 4, 4), "5 patches do not tile 4 x 4 pixels on a square grid"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_drawing_neither_shows_nor_changes_settings(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("the library showed a figure"))
    before = dict(plt.rcParams)
    show_pair(IMAGE, HEAT, ["a", "b"], torch.ones(2))
    assert dict(plt.rcParams) == before
