"""The notebook builder, on a two-cell lesson in a folder of its own."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build)

LESSON = '''\
# %% [markdown]
r"""
# 90 · Builder

$\\alpha$ and 中文
"""

# %%
import ipywidgets as widgets

slider = widgets.IntSlider(value=3)

# %%
print("one")

# %%
print("one")

# %% tags=["solution"]
answer = 42
print(answer)
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    source, target = folder / "90_builder.py", folder / "90_builder.ipynb"
    source.write_text(LESSON, encoding="utf-8")
    build.build(source, target)
    return source, target


def test_a_built_notebook_is_in_sync_until_the_source_changes(built, tmp_path):
    source, target = built
    assert build.in_sync(source, target)
    changed = tmp_path / source.name
    changed.write_text(LESSON.replace("42", "43"), encoding="utf-8")
    assert not build.in_sync(changed, target)
    assert not build.in_sync(source, tmp_path / "missing.ipynb")


def test_a_notebook_run_out_of_order_is_out_of_sync(built, tmp_path):
    source, target = built
    notebook = nbformat.read(target, as_version=4)
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, tmp_path / "n.ipynb")
    assert not build.in_sync(source, tmp_path / "n.ipynb")


def test_a_start_page_that_lists_other_lessons_is_out_of_date(tmp_path):
    source, target = tmp_path / "93_map.py", tmp_path / "93_map.ipynb"
    source.write_text(
        "# %%\nfrom IPython.display import Markdown\n\nfrom course_lib.lesson.syllabus import lesson_map\n\n"
        "Markdown(lesson_map())\n",
        encoding="utf-8",
    )
    build.build(source, target)
    assert build.in_sync(source, target)
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace("[07 ·", "[77 ·"), encoding="utf-8")
    assert "[77 ·" in target.read_text(encoding="utf-8") and not build.in_sync(source, target)


def test_an_answer_that_calls_a_built_lesson_planned_is_out_of_date(tmp_path):
    source, target = tmp_path / "95_answer.py", tmp_path / "95_answer.ipynb"
    page = "Markdown('Practise it: exercise 07.1 fuse, in a lesson not written yet')"
    source.write_text(f"# %%\nfrom IPython.display import Markdown\n\n{page}\n", encoding="utf-8")
    build.build(source, target)
    assert not build.in_sync(source, target)


def test_prose_and_folding_run_nothing(built, tmp_path, monkeypatch):
    source, target = tmp_path / "90_builder.py", tmp_path / "90_builder.ipynb"
    source.write_text(LESSON.replace("中文", "words").replace('["solution"]', '["claim"]'), encoding="utf-8")
    target.write_bytes(built[1].read_bytes())
    monkeypatch.setattr(build, "execute", lambda notebook: pytest.fail("prose was run"))
    build.build(source, target, rerun=False)
    assert build.in_sync(source, target)
    before, after = (nbformat.read(path, as_version=4).cells for path in (built[1], target))
    assert [cell.get("outputs") for cell in after] == [cell.get("outputs") for cell in before]


@pytest.mark.parametrize(
    "change", [("42", "43"), ("# %%\nprint", "# %%\n7\n\n# %%\nprint"), ('# %%\nprint("one")\n', "")]
)
def test_code_that_changed_is_run(built, tmp_path, change):
    source, target = tmp_path / "90_builder.py", tmp_path / "90_builder.ipynb"
    source.write_text(LESSON.replace(*change, 1), encoding="utf-8")
    target.write_bytes(built[1].read_bytes())
    build.build(source, target, rerun=False)
    assert build.in_sync(source, target)
    if change[0] == "42":
        assert nbformat.read(target, as_version=4).cells[-1].outputs[0].text == "43\n"


def test_outputs_of_a_notebook_that_was_run_out_of_order_are_not_kept(built, tmp_path):
    source, target = built[0], tmp_path / "90_builder.ipynb"
    notebook = nbformat.read(built[1], as_version=4)
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, target)
    build.build(source, target, rerun=False)
    assert build.in_sync(source, target)


def test_what_is_folded_depends_on_the_tags(tmp_path):
    source = tmp_path / "94_tags.py"
    source.write_text('# %% tags=["claim", "reveal"]\n1\n\n# %% tags=["exercise"]\n2\n', encoding="utf-8")
    folded, plain = build.read_source(source).cells
    assert folded.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert "jupyter" not in plain.metadata


def test_two_builds_are_byte_identical(built, tmp_path):
    source, target = built
    build.build(source, tmp_path / "again.ipynb")
    assert (tmp_path / "again.ipynb").read_bytes() == target.read_bytes()


def test_nothing_but_cells_and_outputs_is_kept(built):
    notebook = json.loads(built[1].read_text(encoding="utf-8"))
    assert notebook["metadata"] == build.METADATA  # the slider left no widget state
    kept = [cell["metadata"] for cell in notebook["cells"]]
    assert kept == [{}, {}, {}, {}, {"jupyter": {"source_hidden": True}, "tags": ["solution"]}]


def test_ids_depend_on_text_alone_and_are_unique(built):
    cells = build.read_source(built[0]).cells
    ids = [cell.id for cell in cells]
    assert len(set(ids)) == len(ids)  # two cells print "one"
    again = [cell.id for cell in build.read_source(built[0]).cells]
    assert ids == again


def test_an_inserted_cell_moves_no_other_id(built, tmp_path):
    longer = tmp_path / "90_builder.py"
    longer.write_text(LESSON.replace("# %%\nprint", "# %%\n7\n\n# %%\nprint", 1), encoding="utf-8")
    before = {cell.id for cell in build.read_source(built[0]).cells}
    after = {cell.id for cell in build.read_source(longer).cells}
    assert len(after - before) == 1 and before < after


def test_pull_brings_an_edit_back_and_rebuilds_to_the_same_cells(built, tmp_path):
    _, target = built
    notebook = nbformat.read(target, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("Builder", "Edited in JupyterLab")
    nbformat.write(notebook, tmp_path / "90_builder.ipynb")
    build.pull(tmp_path / "90_builder.py", tmp_path / "90_builder.ipynb")
    pulled = build.read_source(tmp_path / "90_builder.py").cells
    assert [cell.source for cell in pulled] == [cell.source for cell in notebook.cells]
    assert pulled[-1].metadata["tags"] == ["solution"]
    assert "execution" not in (tmp_path / "90_builder.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("lesson", sorted((ROOT / "notebooks" / "src").glob("*.py")), ids=lambda path: path.stem[:2])
def test_pull_of_an_unchanged_lesson_changes_nothing(lesson, tmp_path):
    build.pull(tmp_path / lesson.name, lesson.parents[1] / f"{lesson.stem}.ipynb")
    pulled, kept = ((each / lesson.name).read_text(encoding="utf-8") for each in (tmp_path, lesson.parent))
    assert _without_blank_lines(pulled) == _without_blank_lines(kept)  # those are for ruff


def _without_blank_lines(text):
    return [line for line in text.splitlines() if line.strip()]


def test_a_cell_that_writes_to_stderr_stops_the_build(tmp_path):
    source = tmp_path / "91_noisy.py"
    source.write_text("# %%\nimport sys\n\nprint('careful', file=sys.stderr)\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="nothing on stderr"):
        build.build(source, tmp_path / "91_noisy.ipynb")
    assert not (tmp_path / "91_noisy.ipynb").exists()


def test_a_cell_that_shows_a_live_widget_stops_the_build(tmp_path):
    source = tmp_path / "92_widget.py"
    source.write_text("# %%\nimport ipywidgets\n\nipywidgets.IntSlider()\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="use explore"):
        build.build(source, tmp_path / "92_widget.ipynb")


def test_an_unknown_lesson_is_named(capsys):
    with pytest.raises(SystemExit):
        build.main(["98"])
    assert "no lesson ['98'] in notebooks/src" in capsys.readouterr().err


def test_every_lesson_and_the_readme_are_up_to_date(capsys):
    assert build.main(["--check"]) == 0, capsys.readouterr().out
