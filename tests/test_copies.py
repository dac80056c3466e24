"""The learner's folder: made, brought up to date, brought back; what a learner wrote is there whatever happens."""

import json
import os
import subprocess
import sys
import threading
from datetime import datetime

import nbformat
import pytest

from course_lib import cli
from course_lib.copies import folder as folders
from course_lib.copies import notebook as files
from course_lib.copies import update as updating
from course_lib.copies.folder import Folder, choose
from course_lib.copies.merge import NOTE
from course_lib.copies.reset import reset
from course_lib.copies.update import update
from course_lib.lesson import syllabus

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there that learners do not have")
TASK = "### Exercise 07.{0} · {1} ●○○ 5 minutes"
STUB = 'def {0}(x):\n    """{1}"""\n    raise NotImplementedError\n\n\ncheck(exercise.{0}, {0})'


class Course:
    """A course of two lessons whose authors change them."""

    def __init__(self, root):
        self.root = root
        (root / "datasets").mkdir()
        rows = [
            "number,slug,part,title,title_zh,question",
            *(f"{n},{s},1,T,题,Q" for n, s in (("00", "start"), ("07", "fusing"), ("08", "planned"))),
        ]
        (root / "datasets/lessons.csv").write_text("\n".join(rows), encoding="utf-8")
        (root / "notebooks/figures").mkdir(parents=True)
        (root / "notebooks/figures/07.svg").write_text("<svg/>")
        self.ship("00_start", "# Start", "a = 1")
        self.ship("07_fusing", *self.lesson())

    def lesson(self, doc="rows"):
        return ["# Seven", TASK.format(1, "softmax"), STUB.format("softmax", doc), TASK.format(2, "gate")] + [
            STUB.format("gate", doc),
            "# End",
        ]

    def ship(self, name, *sources):
        """Build a lesson: ids come from the texts."""
        cells = []
        for source in sources:
            make = nbformat.v4.new_markdown_cell if source.startswith("#") else nbformat.v4.new_code_cell
            tags = {"tags": ["exercise"]} if "NotImplementedError" in source else {}
            cells.append(make(source, id=f"c{abs(hash(source)) % 10**10}", metadata=tags))
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path


@pytest.fixture
def course(tmp_path, monkeypatch):
    (tmp_path / "course").mkdir()
    monkeypatch.setattr(syllabus, "ROOT", tmp_path / "course")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("COURSE_LESSONS", raising=False)
    return Course(tmp_path / "course")


@pytest.fixture
def mine(course):
    """The learner's folder, lessons copied."""
    folder = choose(None, {})
    update(folder)
    return folder


def read(path):
    return nbformat.read(path, as_version=4)


def sources(path):
    return [cell.source for cell in read(path).cells]


def answer(path, name="softmax", code="return x"):
    """Write an answer into the stub, as JupyterLab would save it."""
    notebook = read(path)
    stub = next(cell for cell in notebook.cells if cell.source.startswith(f"def {name}"))
    stub.source = stub.source.replace("raise NotImplementedError", code)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return stub.source


def everything(folder):
    """{path: bytes} of the folder."""
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


# --- where the folder is ------------------------------------------------------------------------------------------


def test_the_folder_that_is_named_wins_over_the_setting_and_the_default(course, tmp_path):
    assert choose(None, {}).path == course.root / "my-lessons"
    assert choose(None, {"COURSE_LESSONS": ""}).path == course.root / "my-lessons"
    assert choose(None, {"COURSE_LESSONS": str(tmp_path / "a")}).path == tmp_path / "a"
    assert choose(str(tmp_path / "b"), {"COURSE_LESSONS": str(tmp_path / "a")}).path == tmp_path / "b"


@pytest.mark.parametrize("name", [".", "notebooks", "notebooks/mine", "course_lib", "datasets"])
def test_the_courses_own_folders_are_refused(course, name):
    with pytest.raises(ValueError, match="belongs to the course itself"):
        choose(str(course.root / name), {})


@LINKS
def test_a_link_to_the_courses_notebooks_is_refused(course, tmp_path):
    (tmp_path / "link").symlink_to(course.root / "notebooks")
    with pytest.raises(ValueError, match="belongs to the course itself"):
        choose(str(tmp_path / "link"), {})


def test_a_file_is_no_folder(course, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        choose(str(tmp_path / "file"), {})


def test_git_does_not_see_the_folder():
    root = syllabus.ROOT
    found = subprocess.run(["git", "check-ignore", "my-lessons/07.ipynb"], cwd=root, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("not a git checkout")
    assert found.stdout.strip() == "my-lessons/07.ipynb"


# --- bringing it up to date ---------------------------------------------------------------------------------------


def test_the_first_time_every_built_lesson_and_figure_is_copied(course):
    folder = choose(None, {})
    assert update(folder) == ["2 lessons copied to my-lessons"]
    assert sorted(path.name for path in folder.path.glob("*.ipynb")) == ["00_start.ipynb", "07_fusing.ipynb"]
    assert (folder.path / "07_fusing.ipynb").read_bytes() == (course.root / "notebooks/07_fusing.ipynb").read_bytes()
    assert (folder.path / "figures/07.svg").read_text(encoding="utf-8") == "<svg/>"


def test_twice_changes_nothing_with_or_without_answers(course, mine):
    before = everything(mine)
    assert update(mine) == [] and everything(mine) == before
    answer(mine.path / "07_fusing.ipynb")
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    assert update(mine) != []
    before = everything(mine)
    assert update(mine) == [] and everything(mine) == before


def test_a_new_version_keeps_the_answer_and_the_copy_from_before(course, mine):
    path = mine.path / "07_fusing.ipynb"
    written = answer(path)
    before = path.read_bytes()
    tracked = course.ship("07_fusing", "# Seven, clearer", *course.lesson()[1:-1], "new = 1", "# End").read_bytes()
    (line,) = update(mine)
    assert sources(path) == [
        "# Seven, clearer",
        *course.lesson()[1:2],
        written,
        *course.lesson()[3:-1],
        "new = 1",
        "# End",
    ]
    (kept,) = (mine.path / "kept").iterdir()
    assert kept.read_bytes() == before
    assert line == f"lesson 07 updated, 1 cell of yours kept; as it was before: kept/{kept.name}"
    assert (course.root / "notebooks/07_fusing.ipynb").read_bytes() == tracked


def test_where_both_changed_it_is_said(course, mine):
    written = answer(mine.path / "07_fusing.ipynb")
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    (line,) = update(mine)
    assert "1 cell of yours kept, 1 with the course's new form in a note below" in line
    found = sources(mine.path / "07_fusing.ipynb")
    assert found[found.index(written) + 1].startswith(NOTE)


def test_a_lesson_without_answers_is_simply_replaced(course, mine):
    path = mine.path / "00_start.ipynb"
    notebook = read(path)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12"}  # opening it does this
    nbformat.write(notebook, path)
    tracked = course.ship("00_start", "# Start", "a = 2")
    assert update(mine) == ["1 lesson updated"]
    assert path.read_bytes() == tracked.read_bytes() and not (mine.path / "kept").exists()


def test_a_run_whose_outputs_would_go_is_kept(course, mine):
    path = mine.path / "00_start.ipynb"
    notebook = read(path)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="an hour's run")]
    nbformat.write(notebook, path)
    course.ship("00_start", "# Start", "a = 2")
    update(mine)
    assert "an hour's run" in next((mine.path / "kept").iterdir()).read_text(encoding="utf-8")


def test_a_deleted_or_renamed_copy_is_delivered_again_and_the_renamed_one_stays(course, mine):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    path.rename(mine.path / "07 mine.ipynb")
    before = (mine.path / "07 mine.ipynb").read_bytes()
    assert update(mine) == ["1 lesson copied to my-lessons"]
    assert sources(path) == course.lesson() and (mine.path / "07 mine.ipynb").read_bytes() == before


def test_a_lesson_with_a_new_name_keeps_its_answers(course, mine):
    written = answer(mine.path / "07_fusing.ipynb")
    (course.root / "notebooks/07_fusing.ipynb").unlink()
    table = course.root / "datasets/lessons.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("07,fusing", "07,joining"), encoding="utf-8")
    course.ship("07_joining", "# Seven, clearer", *course.lesson()[1:])
    (line,) = update(mine)
    assert line.startswith("lesson 07 updated, 1 cell of yours kept")
    assert sources(mine.path / "07_joining.ipynb")[:3] == ["# Seven, clearer", course.lesson()[1], written]
    assert not (mine.path / "07_fusing.ipynb").exists() and update(mine) == []


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"[1]", lambda b: b"\xff\xfe\x00"]
)
def test_an_unreadable_copy_is_kept_aside_and_the_lesson_is_fresh(course, mine, damage):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    path.write_bytes(broken := damage(path.read_bytes()))
    (line,) = update(mine)
    (kept,) = (mine.path / "kept").iterdir()
    assert kept.read_bytes() == broken and sources(path) == course.lesson()
    assert line.startswith("lesson 07: your copy cannot be read") and f"kept/{kept.name}" in line and "\n" not in line


def test_answers_stay_when_the_record_of_the_shipped_version_is_lost_or_broken(course, mine):
    written = answer(mine.path / "07_fusing.ipynb")
    for damage in (lambda path: path.unlink(), lambda path: path.write_text("{")):
        damage(mine.hidden / "shipped/07_fusing.ipynb")
        update(mine)
        assert sources(mine.path / "07_fusing.ipynb").count(written) == 1
        assert len(sources(mine.path / "07_fusing.ipynb")) == len(course.lesson())


def test_a_notebook_without_cell_ids_is_merged(course, mine):
    path = mine.path / "07_fusing.ipynb"
    written = answer(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["nbformat_minor"] = 0  # as Colab writes it
    for cell in content["cells"]:
        del cell["id"]
    path.write_text(json.dumps(content), encoding="utf-8")
    course.ship("07_fusing", "# Seven, clearer", *course.lesson()[1:])
    update(mine)
    assert sources(path) == ["# Seven, clearer", course.lesson()[1], written, *course.lesson()[3:]]
    nbformat.validate(read(path))


def test_a_crash_between_the_copy_and_its_record_loses_and_doubles_nothing(course, mine, monkeypatch):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    course.ship("07_fusing", *course.lesson("rows that sum to 1"), "new = 1")

    def crash(content, target):
        if target == mine.hidden / "shipped/07_fusing.ipynb":
            raise KeyboardInterrupt
        files.write_bytes(content, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(updating, "write_bytes", crash)
        update(mine)
    merged = sources(path)
    update(mine)
    assert sources(path) == merged and merged.count("new = 1") == 1


def test_a_crash_while_writing_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(files.os, "fsync", lambda number: (_ for _ in ()).throw(OSError("the disk is full")))
        files.write_bytes(b"new", path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    path.chmod(0o600)
    files.write_bytes(b"new", path)
    assert path.read_bytes() == b"new"
    assert sys.platform == "win32" or path.stat().st_mode & 0o077 == 0  # still nobody else's


@LINKS
def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    target.write_bytes(b"old")
    link.symlink_to(target)
    files.write_bytes(b"new", link)
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_two_at_once(course, mine):
    path = mine.path / "07_fusing.ipynb"
    written = answer(path)
    course.ship("07_fusing", "# Seven, clearer", *course.lesson()[1:], "new = 1")
    told, start = [], threading.Barrier(4)

    def run():
        start.wait()
        told.extend(update(Folder(mine.path)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1 and len(list((mine.path / "kept").iterdir())) == 1
    assert sources(path).count(written) == sources(path).count("new = 1") == 1


def test_another_process_that_does_not_end_is_said(course, mine, monkeypatch):
    monkeypatch.setattr(folders, "PATIENCE", 0.1)
    with mine.lock(), pytest.raises(OSError, match="try again later"), Folder(mine.path).lock():
        pass


def test_one_file_that_cannot_be_read_does_not_stop_the_others(course, mine):
    path = mine.path / "07_fusing.ipynb"
    path.unlink()
    path.mkdir()
    course.ship("00_start", "# Start", "a = 2")
    lines = update(mine)
    assert lines[0].startswith("lesson 07 was not updated: ") and lines[1] == "1 lesson updated"


# --- while JupyterLab is open -------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """Jupyter's record of a server; this process stands for it."""

    def open_on(root):
        record = tmp_path / "runtime/jpserver-1.json"
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps({"pid": os.getpid(), "root_dir": str(root), "url": "http://localhost:8888/"}))
        return record

    return open_on


def test_nothing_is_merged_while_jupyterlab_is_open_on_the_folder_or_above(course, mine, server):
    answer(mine.path / "07_fusing.ipynb")
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    before = everything(mine)
    for root in (mine.path, course.root):
        record = server(root)
        (line,) = update(mine)
        assert line.startswith("1 lesson to update, and http://localhost:8888/ is open on my-lessons: end it")
        assert everything(mine) == before
    record.unlink()
    assert "lesson 07 updated" in update(mine)[0]


def test_it_is_merged_all_the_same_when_asked_for(course, mine, server, capsys):
    server(mine.path)
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    assert cli.main(["copy"]) == 0 and "course copy --now" in capsys.readouterr().out
    assert cli.main(["copy", "--now"]) == 0 and capsys.readouterr().out == "1 lesson updated\n"


def test_a_record_of_another_kind_of_server_is_no_server(course, mine, server):
    record = server(mine.path)
    record.write_text(json.dumps({"pid": os.getpid()}))
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    assert update(mine) == ["1 lesson updated"]


def test_a_server_elsewhere_does_not_matter(course, mine, server, tmp_path):
    server(tmp_path / "elsewhere")
    course.ship("07_fusing", *course.lesson("rows that sum to 1"))
    assert update(mine) == ["1 lesson updated"]


def test_a_missing_lesson_is_delivered_all_the_same(course, mine, server):
    server(mine.path)
    (mine.path / "07_fusing.ipynb").unlink()
    assert update(mine) == ["1 lesson copied to my-lessons"]


# --- bringing back ------------------------------------------------------------------------------------------------


def test_reset_of_a_lesson(course, mine):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    before = path.read_bytes()
    told = reset(mine, "7")
    assert path.read_bytes() == (course.root / "notebooks/07_fusing.ipynb").read_bytes()
    (kept,) = (mine.path / "kept").iterdir()
    assert kept.read_bytes() == before
    assert told == f"lesson 07 is as it was shipped; the lesson as you had it: kept/{kept.name}"
    assert reset(mine, "07") == "lesson 07 is as it was shipped already" and update(mine) == []


def test_reset_of_an_exercise_leaves_the_rest(course, mine):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    gate = answer(path, "gate", "return 1 - x")
    assert reset(mine, "07", "07.1").startswith("exercise 07.1 is as it was shipped; ")
    assert sources(path) == [*course.lesson()[:4], gate, "# End"]
    assert reset(mine, "07", "07.1") == "exercise 07.1 is as it was shipped already"


def test_reset_of_an_exercise_takes_the_new_form_its_note_goes_and_a_deleted_cell_is_back(course, mine):
    path = mine.path / "07_fusing.ipynb"
    answer(path)
    gate = answer(path, "gate", "return 1 - x")
    course.ship("07_fusing", *(new := course.lesson("rows that sum to 1")))
    update(mine)
    reset(mine, "07", "07.1")
    assert sources(path)[:4] == new[:4] and sources(path)[4] == gate and sources(path)[5].startswith(NOTE)
    notebook = read(path)
    del notebook.cells[2]
    nbformat.write(notebook, path)
    reset(mine, "07", "07.1")
    assert sources(path)[:4] == new[:4]


def test_dated_copies_never_replace_one_another(mine):
    path, now = mine.path / "07_fusing.ipynb", datetime(2030, 1, 2, 3, 4, 5)
    names = [mine.keep(path, now).name for _ in range(3)]
    assert names[0] == "07_fusing_2030-01-02_03-04-05.ipynb" and len(set(names)) == 3


# --- the command --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["reset", "99"], 2, "there is no lesson '99'; there are 00, 07"),
        (["reset", "08"], 2, "there is no lesson '08'"),
        (["reset", ""], 2, "there is no lesson ''"),
        (["reset", "x" * 5000], 2, "there is no lesson"),
        (["reset", "07", "--exercise", "07.9"], 2, "lesson 07 has no exercise '07.9'; it has 07.1, 07.2"),
        (["reset", "00", "--exercise", "07.1"], 2, "lesson 00 has no exercise '07.1'; it has none"),
        (["reset", "07"], 2, "there is no copy of lesson 07 in my-lessons yet; make one: course copy"),
        (["reset", "07", "--lessons", "notebooks"], 2, "belongs to the course itself"),
        (["copy", "--lessons", "notebooks"], 2, "belongs to the course itself"),
    ],
)
def test_what_cannot_be_done_is_one_line(course, monkeypatch, capsys, arguments, status, words):
    monkeypatch.chdir(course.root)
    assert cli.main(arguments) == status
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and words in err


@pytest.mark.parametrize("port", ["99999999", "x", "0", "-1", "", "8888.5"])
def test_a_port_that_is_none_is_one_line(course, capsys, port):
    with pytest.raises(SystemExit) as left:
        cli.main(["lab", "--port", port])
    out, err = capsys.readouterr()
    assert left.value.code == 2 and out == "" and err.count("\n") == 1 and "1 to 65535 fit" in err


def test_a_folder_that_cannot_be_written_is_one_line(course, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["copy", "--lessons", str(tmp_path / "file" / "below")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "cannot be written" in err and "--lessons DIR" in err


def test_copy_and_reset_say_what_they_did(course, capsys):
    assert cli.main(["copy"]) == 0 and capsys.readouterr().out == "2 lessons copied to my-lessons\n"
    assert cli.main(["copy"]) == 0 and capsys.readouterr().out == "every lesson in my-lessons is up to date\n"
    answer(course.root / "my-lessons/07_fusing.ipynb")
    assert cli.main(["reset", "7", "--exercise", "07.1"]) == 0
    assert capsys.readouterr().out.startswith(
        "exercise 07.1 is as it was shipped; the lesson as you had it: kept/07_fus"
    )


def test_reset_says_what_to_do_in_an_open_jupyterlab(course, mine, server, capsys):
    answer(mine.path / "07_fusing.ipynb")
    server(mine.path)
    cli.main(["reset", "07"])
    assert "Reload Notebook from Disk" in capsys.readouterr().out


def test_the_real_lessons_are_copied_and_each_exercise_can_be_brought_back(tmp_path):
    folder = Folder(tmp_path / "mine")
    update(folder)
    for lesson in syllabus.load_lessons():
        if lesson.built:
            path = folder.copy(lesson)
            assert path.read_bytes() == lesson.notebook.read_bytes()
            notebook = read(path)
            stubs = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
            wanted = [cell.source for cell in notebook.cells]
            for cell in stubs:
                cell.source = f"# mine\n{cell.source}"
            nbformat.write(notebook, path)
            for number in range(1, len(stubs) + 1):
                reset(folder, lesson.number, f"{lesson.number}.{number}")
            assert sources(path) == wanted
            for figure in {word for cell in read(path).cells for word in cell.source.split("(figures/")[1:]}:
                assert (folder.path / "figures" / figure.partition(")")[0]).is_file()


def test_the_command_runs_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "course_lib.cli", "copy", "--lessons", str(tmp_path / "mine")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "" and "copied to" in done.stdout
