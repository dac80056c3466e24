import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course_lib.lesson.figures import bar_plot, dot_plot, heat_map, png, quick_png, show


def test_png_is_opaque_small_and_closes_the_figure():
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.imshow(np.random.RandomState(0).rand(40, 80), cmap="viridis")
    before = len(plt.get_fignums())
    picture = Image.open(io.BytesIO(png(fig)))
    assert len(plt.get_fignums()) == before - 1
    assert picture.mode == "P" and picture.size == (400, 200)
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_line_takes_64_colours_and_a_map_of_many_hues_256():
    line, ax = plt.subplots(figsize=(4, 2))
    ax.plot([0, 1, 3, 2])
    hues, ax = plt.subplots(figsize=(4, 2))
    ax.imshow(np.random.RandomState(0).rand(20, 40, 3), aspect="auto")
    used = [len(Image.open(io.BytesIO(png(fig))).getcolors()) for fig in (line, hues)]
    assert used[0] <= 64 and used[1] > 128


def test_few_colours_stay_close_to_the_drawing():
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.imshow(np.linspace(0, 1, 400).reshape(20, 20), cmap="magma", aspect="auto")
    full = io.BytesIO()
    fig.savefig(full, format="png", dpi=100, facecolor="white")
    drawn = np.asarray(Image.open(full).convert("RGB")).astype(int)
    kept = np.asarray(Image.open(io.BytesIO(png(fig))).convert("RGB")).astype(int)
    assert np.abs(drawn - kept).mean() < 3  # of 255


def test_two_drawings_give_the_same_bytes():
    def draw():
        return bar_plot({"a": 1.0, "b": 0.5}, xlabel="share")[0]

    assert png(draw()) == png(draw())


def test_bars_stand_in_the_given_order_from_the_top():
    fig, ax = bar_plot({"first": 1.0, "second": 0.25}, xlabel="share")
    tops = {label.get_text(): bar.get_y() for label, bar in zip(ax.get_yticklabels(), ax.patches, strict=True)}
    widths = [bar.get_width() for bar in ax.patches]
    plt.close(fig)
    assert tops["first"] > tops["second"] and widths == [0.25, 1.0]


def test_a_heat_map_writes_each_number_where_its_names_meet_and_colours_by_sign():
    values = {("A", "decay"): 1.25, ("B", "decay"): -9.0, ("A", "dropout"): 0.0, ("B", "dropout"): 12.0}
    fig, ax = heat_map(values, limit=12.0)
    rows, columns = ([tick.get_text() for tick in axis.get_ticklabels()] for axis in (ax.yaxis, ax.xaxis))
    assert rows == ["decay", "dropout"] and columns == ["A", "B"]
    written = {(columns[round(t.get_position()[0])], rows[round(t.get_position()[1])]): t.get_text() for t in ax.texts}
    assert written == {key: f"{value:+.1f}" for key, value in values.items()}
    (image,) = ax.images
    low, zero, high = (image.cmap(image.norm(value)) for value in (-12, 0, 12))
    assert low[2] > low[0] and high[0] > high[2] and min(zero[:3]) > 0.9  # purple, white, orange
    plt.close(fig)


def test_dots_hold_one_mark_a_seed_and_conditions_do_not_overlap():
    series = {"clean": {"sum": [0.9, 0.8, 0.7], "gate": [0.6] * 3}, "noisy": {"sum": [0.5] * 3, "gate": [0.4] * 3}}
    fig, ax = dot_plot(series, xlabel="accuracy", chance=0.1)
    clean, noisy, chance = ax.lines
    plt.close(fig)
    assert sorted(clean.get_xdata()) == [0.6, 0.6, 0.6, 0.7, 0.8, 0.9] and chance.get_xdata() == [0.1, 0.1]
    assert clean.get_marker() != noisy.get_marker() and clean.get_color() != noisy.get_color()
    assert not set(clean.get_ydata()) & set(noisy.get_ydata())


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_no_mark_of_the_first_or_the_last_row_is_cut_by_the_frame(rows):
    models = {f"model {number}": [0.0, 1.0] for number in range(rows)}
    fig, ax = dot_plot({"clean": models, "noisy": models}, xlabel="accuracy")
    fig.canvas.draw()
    frame = ax.get_window_extent()
    heights = [ax.transData.transform((0, y))[1] for line in ax.lines for y in line.get_ydata()]
    radius = ax.lines[0].get_markersize() / 2 * fig.dpi / 72  # points to pixels
    plt.close(fig)
    assert min(heights) - radius > frame.y0 + 1 and max(heights) + radius < frame.y1 - 1


def test_a_figure_without_words_is_refused():
    fig, _ = bar_plot({"a": 1.0}, xlabel="share")
    with pytest.raises(ValueError, match="alt is empty"):
        show(fig, alt=" ")
    plt.close(fig)


def test_a_legend_covers_no_point_and_one_condition_needs_none():
    models = {f"model {number}": [0.0, 1.0] for number in range(6)}
    alone, _ = dot_plot({"clean": models}, xlabel="accuracy")
    fig, ax = dot_plot({"clean": models, "with noise": models, "shifted": models}, xlabel="accuracy")
    fig.canvas.draw()
    (legend,) = fig.legends
    frame, axes = legend.get_window_extent(), ax.get_window_extent()
    plt.close("all")
    assert not alone.legends and alone.axes[0].get_legend() is None
    assert not frame.overlaps(axes) and frame.x0 >= 0 and frame.x1 <= fig.bbox.x1 and frame.y1 <= fig.bbox.y1


def test_the_sentence_is_alternative_text_and_caption_and_the_picture_is_held_once(monkeypatch):
    shown = []
    monkeypatch.setattr("course_lib.lesson.figures.display", lambda data, *, raw: shown.append(data))
    show(bar_plot({"a": 1.0}, xlabel="share")[0], 'A bar "<3"')
    ((html, text),) = [(each.pop("text/html"), each.pop("text/plain")) for each in shown]
    assert shown == [{}] and text == 'A bar "<3"'
    assert 'alt="A bar &quot;&lt;3&quot;"' in html and "<small>A bar &quot;&lt;3&quot;</small></figcaption>" in html
    assert html.count("base64,") == 1


def test_a_quick_picture_is_that_of_a_notebook():
    drawn = [Image.open(io.BytesIO(how(bar_plot({"a": 1.0}, xlabel="share")[0]))) for how in (png, quick_png)]
    assert drawn[1].mode == "RGB" and drawn[1].size == drawn[0].size
    difference = np.abs(np.asarray(drawn[1]).astype(int) - np.asarray(drawn[0].convert("RGB")).astype(int))
    assert difference.mean() < 1  # of 255
