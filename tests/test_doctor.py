"""The doctor names what is wrong with what to do about it, and outlives whatever is broken."""

import io
import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_lib import compat, doctor
from course_lib.data import catalogue
from course_lib.doctor import Finding
from course_lib.learner import store

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [entry.file for entry in catalogue.table() if entry.sha256 is None]


@pytest.fixture
def datasets(tmp_path):
    """A copy of datasets/ that may be damaged."""
    return shutil.copytree(catalogue.DATASETS, tmp_path / "datasets")


def report(datasets):
    return list(doctor._data(datasets.parent))


def test_a_finding_is_in_order_a_note_or_to_be_fixed():
    assert str(Finding(False, "torch 1.0", "pip install it")) == "FIX  torch 1.0\n     -> pip install it"
    assert str(Finding(True, "torch 2.0")) == "OK   torch 2.0"
    assert str(Finding(True, "a file was moved", "to there")) == "NOTE a file was moved\n     -> to there"


def test_an_old_python_is_named(monkeypatch):
    assert next(doctor._python()).ok
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    (finding,) = doctor._python()
    assert not finding.ok and "Python 3.10.12" in finding.what and "make lab PYTHON=" in finding.remedy


def test_a_package_that_is_missing_or_differs_is_named(monkeypatch):
    pins = doctor.requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))

    def version(name):
        if name == "captum":
            raise metadata.PackageNotFoundError(name)
        return {"torch": pins["torch"] + "+cpu", "matplotlib": "3.0.0"}.get(name, pins[name])

    monkeypatch.setattr(metadata, "version", version)
    findings = {finding.what.split()[0]: finding for finding in doctor._packages()}
    assert findings["torch"].ok and findings["jupyterlab"].ok
    assert findings["captum"].what == "captum is missing"
    assert "pip install matplotlib==" in findings["matplotlib"].remedy


def test_low_memory_is_named(monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * 2**20))
    (finding,) = doctor._memory()
    assert not finding.ok and "shut down" in finding.remedy


def test_whole_data_are_counted(datasets):
    (finding,) = report(datasets)
    hashed = len(catalogue.table()) - len(TEXTS)
    assert hashed > 30 and finding.ok
    assert finding.what == f"data: {hashed} files have the recorded sha256, {len(TEXTS)} texts are whole"


HARMS = {
    "deleted": lambda content: None,
    "emptied": lambda content: b"",
    "cut by a byte": lambda content: content.rstrip(b"\n")[:-1],  # the last newline alone is no loss
    "cut in half": lambda content: content[: len(content) // 2],
    "cut at a line": lambda content: content.rstrip(b"\n").rpartition(b"\n")[0] + b"\n",
}


@pytest.mark.parametrize("harm", HARMS)
def test_every_file_that_is_deleted_or_cut_is_named_with_what_restores_it(datasets, harm):
    for name in (*TEXTS, "photos/coffee.jpg", "voices.npz"):
        path = datasets / name
        content = path.read_bytes()
        path.unlink()
        if (left := HARMS[harm](content)) is not None:
            path.write_bytes(left)
        (finding,) = report(datasets)
        assert not finding.ok
        assert finding.what.startswith(f"datasets/{name} is ")
        assert finding.remedy == f"git checkout -- datasets/{name}"
        path.write_bytes(content)


def test_each_of_several_damages_has_its_line(datasets):
    for name in ("lessons.csv", "glossary.csv", "questions/part1_data.yaml"):
        (datasets / name).unlink()
    assert [finding.what for finding in report(datasets)] == [
        f"datasets/{name} is missing" for name in ("glossary.csv", "lessons.csv", "questions/part1_data.yaml")
    ]


@pytest.mark.parametrize("content", ["", "[{", "null", "{}", "[]", "[1]", '[{"file": "x"}]', "\udcff"])
def test_a_damaged_catalogue_is_named(datasets, content):
    (datasets / "catalogue.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    (finding,) = report(datasets)
    assert not finding.ok
    assert "catalogue.json" in finding.what and finding.remedy.endswith("git checkout -- datasets/catalogue.json")


def test_a_missing_catalogue_and_a_changed_table_are_named(datasets):
    rows = json.loads((datasets / "catalogue.json").read_text(encoding="utf-8"))
    rows[0]["licence"] = "CC0"
    (datasets / "catalogue.json").write_text(json.dumps(rows), encoding="utf-8")
    (finding,) = report(datasets)
    assert "README.md, rendered from catalogue.json, is altered" in finding.what
    assert finding.remedy == "git checkout -- datasets/catalogue.json datasets/README.md"
    (datasets / "README.md").unlink()
    assert "is missing" in report(datasets)[0].what
    (datasets / "catalogue.json").unlink()
    (finding,) = report(datasets)
    assert "catalogue.json is missing" in finding.what and "git checkout -- datasets" in finding.remedy


def test_a_text_that_was_edited_is_noted_and_one_that_was_cut_is_not_noted_twice(tmp_path, datasets):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    assert len(report(datasets)) == 1
    for name in ("glossary.csv", "questions/part1_data.yaml"):
        path = datasets / name
        path.write_text(path.read_text(encoding="utf-8").replace("the", "teh"), encoding="utf-8")
    (datasets / "lessons.csv").unlink()
    broken, note = report(datasets)
    assert broken.what == "datasets/lessons.csv is missing"
    assert note.ok and note.what.endswith("datasets/glossary.csv, datasets/questions/part1_data.yaml")


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch, capsys):
    def broken():
        raise OSError("disk on fire")

    healthy = [Finding(True, "fine")]
    for name in ("_python", "_packages", "_torch", "_torchvision", "_memory", "_reviews"):
        monkeypatch.setattr(doctor, name, lambda: healthy)
    monkeypatch.setattr(doctor, "_data", broken)
    assert doctor.run() == 1
    assert "FIX  the data could not be checked: OSError: disk on fire" in capsys.readouterr().out
    assert len(list(doctor.examine())) == 7


def test_a_damaged_review_file_that_was_set_aside_is_noted(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert list(doctor._reviews()) == []
    (tmp_path / store.FILE).write_bytes(b"no database" * 1000)
    store.ReviewStore().reviews()
    (finding,) = doctor._reviews()
    (aside,) = store.damaged_files()
    assert finding.ok and finding.what.startswith("a damaged review file of ")
    assert finding.what.endswith(f"was set aside: {aside.path}") and "may be deleted" in finding.remedy


def test_a_torchvision_made_for_another_torch_is_tried_in_full(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy", "torch==1.2.3"])

    def fails():
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(compat, "ensure_torchvision", fails)
    (finding,) = doctor._torchvision()
    assert not finding.ok and "operator torchvision::nms" in finding.what and "pip install" in finding.remedy


@pytest.mark.parametrize("error", ["ImportError('DLL load failed')", "OSError('libtorch_cpu.so: cannot open')"])
def test_a_torch_that_does_not_import_is_named_once_for_each_of_the_pair(tmp_path, error):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {error}\n", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from course_lib import doctor; sys.exit(doctor.run())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert result.returncode == 1 and result.stderr == ""
    broken = [line for line in result.stdout.splitlines() if line.startswith("FIX")]
    assert len(broken) == 2 and broken[0].startswith("FIX  torch does not import: ")
    assert "does not import beside torch" in broken[1]
    assert "OK   data: " in result.stdout


def test_a_torchvision_that_is_not_installed_is_named_among_the_packages(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert list(doctor._torchvision()) == []
    assert "torchvision is missing" in {finding.what for finding in doctor._packages()}


def test_a_terminal_that_lacks_letters_stops_no_report(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding(True, "a file of 2026: 复习/é.sqlite3", "note")])
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    assert doctor.run() == 0
    assert b"NOTE a file of 2026: \\u590d\\u4e60/\\xe9.sqlite3" in written.buffer.getvalue()


def test_the_doctor_runs_here_and_imports_nothing_heavy_but_torch():
    code = (
        "import sys; from course_lib import doctor; status = doctor.run();"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torchvision', 'transformers', 'sklearn', 'fsrs',"
        " 'matplotlib', 'IPython', 'scipy'}), 'torch._dynamo' in sys.modules); sys.exit(status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FIX" not in result.stdout and "device" in result.stdout
    assert result.stdout.splitlines()[-1] == "[] False"
