"""A damaged file is never read, and a derived file is whole or absent, whoever builds it."""

import hashlib
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from course_lib.data import catalogue
from course_lib.data.catalogue import DataFileError, cached, find, record, render, table

CONTENT = b"seven lines\n" * 7


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "words.txt").write_bytes(CONTENT)
    (tmp_path / "b.bin").write_bytes(bytes(range(256)))
    record("sub/words.txt", rows=7, licence="CC0", made_by="hand", folder=tmp_path)
    record("b.bin", rows=256, licence="CC0", made_by="bytes(range(256))", restore="course data b", folder=tmp_path)
    return tmp_path


def test_an_intact_file_is_found(folder):
    assert find("sub/words.txt", folder=folder).read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-2] + b"?\n", b""], ids=["truncated", "altered", "emptied"])
@pytest.mark.parametrize("verified_before", [False, True])
def test_a_damaged_file_is_refused_with_both_hashes_and_the_remedy(folder, damaged, verified_before):
    path = folder / "sub" / "words.txt"
    if verified_before:
        find("sub/words.txt", folder=folder)
        os.utime(path, ns=(1, 1))  # so that the write below changes the time on coarse clocks too
    path.write_bytes(damaged)
    with pytest.raises(DataFileError) as refusal:
        find("sub/words.txt", folder=folder)
    expected, found = (hashlib.sha256(content).hexdigest() for content in (CONTENT, damaged))
    lines = str(refusal.value).splitlines()
    assert f"expected: sha256 {expected} in 84 bytes" in lines[1]
    assert f"found:    sha256 {found} in {len(damaged)} bytes" in lines[2]
    assert lines[3].endswith("git checkout -- datasets/sub/words.txt")


def test_a_missing_file_is_refused_with_its_own_remedy(folder):
    (folder / "b.bin").unlink()
    with pytest.raises(DataFileError, match=r"found:    missing\n  restore:  course data b$"):
        find("b.bin", folder=folder)


def test_a_file_restored_to_its_content_is_accepted_again(folder):
    path = folder / "sub" / "words.txt"
    path.write_bytes(b"damage")
    with pytest.raises(DataFileError):
        find("sub/words.txt", folder=folder)
    path.write_bytes(CONTENT)
    assert find("sub/words.txt", folder=folder) == path


def test_a_file_is_hashed_once_until_it_is_touched(folder, monkeypatch):
    hashed = []
    whole = catalogue.sha256_of
    monkeypatch.setattr(catalogue, "sha256_of", lambda path: hashed.append(path.name) or whole(path))
    for _ in range(3):
        find("b.bin", folder=folder)
    assert hashed == ["b.bin"]
    os.utime(folder / "b.bin", ns=(5, 5))
    find("b.bin", folder=folder)
    assert hashed == ["b.bin", "b.bin"]


def test_an_unknown_name_gets_suggestions(folder):
    with pytest.raises(ValueError, match=r"does not list 'words.txt'; it lists 2 files, try one of \['sub/words.txt'"):
        find("words.txt", folder=folder)


def test_a_course_without_its_datasets_says_how_to_install_it(tmp_path):
    with pytest.raises(DataFileError, match=r"catalogue.json is missing.*pip install -e \..*git checkout -- datasets"):
        find("anything", folder=tmp_path)


def test_recording_again_replaces_the_row_and_keeps_the_order(folder):
    (folder / "b.bin").write_bytes(b"new")
    (folder / "a.txt").write_bytes(b"x\n")
    record("b.bin", rows=1, licence="CC0", made_by="hand", folder=folder)
    record("a.txt", rows=1, licence="CC BY 2.0", made_by="hand", folder=folder)
    rows = table(folder)
    assert [row.file for row in rows] == ["a.txt", "b.bin", "sub/words.txt"]
    assert (rows[1].bytes, rows[1].sha256) == (3, hashlib.sha256(b"new").hexdigest())
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme == render(rows)
    assert all(f"`{row.file}` | {row.rows}" in readme and row.sha256 in readme for row in rows)
    assert f"Files: 3, {3 + 2 + 84} bytes in all." in readme
    assert json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))[0]["licence"] == "CC BY 2.0"


def test_a_file_that_is_not_there_is_not_recorded(tmp_path):
    with pytest.raises(DataFileError, match="make it first with draw"):
        record("nothing.bin", rows=1, licence="CC0", made_by="draw()", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_derived_file_is_built_once(tmp_path):
    built = []

    def build(path: Path) -> None:
        built.append(path)
        path.write_bytes(b"features")

    for _ in range(3):
        path = cached("deep/features-v1.npz", build, folder=tmp_path)
    assert path == tmp_path / "deep" / "features-v1.npz" and path.read_bytes() == b"features"
    assert len(built) == 1
    assert built[0].suffix == ".npz" and built[0].parent == path.parent  # np.savez appends .npz to any other name


def test_a_failed_build_leaves_nothing(tmp_path):
    def build(path: Path) -> None:
        path.write_bytes(b"half of i")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        cached("features.npz", build, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_writes_elsewhere_is_refused(tmp_path):
    with pytest.raises(DataFileError, match="must write to the path it is given"):
        cached("features.npz", lambda path: None, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


HALF = b"0123456789" * 20_000


def _build_in_step(folder, letter, barrier, results):
    """Write half, wait until the other process has done so too, write the rest."""

    def build(path: Path) -> None:
        with path.open("wb") as file:
            file.write(letter + HALF)
            file.flush()
            barrier.wait(timeout=60)
            time.sleep(0.05)
            file.write(HALF + letter)

    content = cached("race.bin", build, folder=folder).read_bytes()
    results.put(hashlib.sha256(content).hexdigest())


def test_two_processes_that_build_at_once_both_get_a_whole_file(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    builders = [spawn.Process(target=_build_in_step, args=(tmp_path, x, barrier, results)) for x in (b"A", b"B")]
    for builder in builders:
        builder.start()
    seen = set()
    while any(builder.is_alive() for builder in builders):
        if (tmp_path / "race.bin").is_file():
            seen.add(hashlib.sha256((tmp_path / "race.bin").read_bytes()).hexdigest())
    read = [results.get(timeout=60) for _ in builders]
    whole = {hashlib.sha256(letter + HALF + HALF + letter).hexdigest() for letter in (b"A", b"B")}
    assert set(read) <= whole and seen <= whole
    assert [path.name for path in tmp_path.iterdir()] == ["race.bin"]
    assert [builder.exitcode for builder in builders] == [0, 0]


def _die_half_way(folder):
    def build(path: Path) -> None:
        path.write_bytes(HALF)
        os._exit(9)

    cached("race.bin", build, folder=folder)


def test_a_builder_killed_half_way_leaves_no_file_under_the_name(tmp_path):
    builder = multiprocessing.get_context("spawn").Process(target=_die_half_way, args=(tmp_path,))
    builder.start()
    builder.join(timeout=60)
    assert builder.exitcode == 9
    assert not (tmp_path / "race.bin").exists()
    path = cached("race.bin", lambda path: path.write_bytes(b"whole") and None, folder=tmp_path)
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize(
    "platform, below_home",
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_the_cache_is_where_the_system_keeps_caches(platform, below_home, monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    assert catalogue.cache_folder() == tmp_path / below_home / "every-answer-runs"
    assert list(tmp_path.iterdir()) == []  # asking creates nothing
