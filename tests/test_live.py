"""Live views: what one output holds, and what is left of it in a saved file."""

import copy

import ipywidgets as widgets
import nbformat
import pytest

from course_lib.lesson.live import NOTE, WIDGET, drop_widget_views, publish


@pytest.fixture
def published(monkeypatch):
    """Outputs in the order in which a notebook would get them."""
    outputs = []

    def display(data, *, raw, metadata):
        assert raw
        outputs.append({"output_type": "display_data", "data": data, "metadata": metadata})

    monkeypatch.setattr("IPython.display.display", display)
    return outputs


def saved(*outputs):
    """A model as JupyterLab sends it when it saves."""
    cells = [{"cell_type": "markdown", "source": "", "metadata": {}}]
    cells += [{"cell_type": "code", "source": "", "metadata": {}, "outputs": list(outputs)}]
    return {"type": "notebook", "format": "json", "content": {"cells": cells, "nbformat": 4, "nbformat_minor": 5}}


def test_one_output_holds_the_view_and_its_static_form(published):
    slider = widgets.IntSlider()
    publish(slider, html="<p>at 3</p>", text="at 3")
    (output,) = published
    assert output["data"][WIDGET]["model_id"] == slider.model_id
    assert output["data"]["text/plain"] == "at 3"
    html = output["data"]["text/html"]
    assert html.startswith("<p>at 3</p>") and NOTE in html


def test_what_is_saved_is_the_static_form_alone(published):
    publish(widgets.IntSlider(), html="<p>at 3</p>")
    model = saved(published[0])
    drop_widget_views(model, path="a.ipynb", contents_manager=None)
    (output,) = model["content"]["cells"][1]["outputs"]
    assert sorted(output["data"]) == ["text/html", "text/plain"] and output["metadata"] == {}


def test_views_of_other_packages_and_other_outputs_stay():
    other = {
        "output_type": "display_data",
        "data": {WIDGET: {"model_id": "1"}, "text/html": "<b>x</b>"},
        "metadata": {},
    }
    stream = {"output_type": "stream", "name": "stdout", "text": "x"}
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    model = saved(other, stream, error)
    before = copy.deepcopy(model)
    drop_widget_views(model, path="a.ipynb")
    assert model == before


@pytest.mark.parametrize(
    "model",
    [
        {"type": "file", "format": "text", "content": "course_static_form"},
        {"type": "directory", "content": None},
        {"type": "notebook", "content": None},
        {"type": "notebook"},
        {"type": "notebook", "content": dict(nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet()]))},
    ],
    ids=["text", "folder", "no content", "no key", "format 3"],
)
def test_other_files_are_saved_as_they_are(model):
    before = copy.deepcopy(model)
    drop_widget_views(model, path="x")
    assert model == before
