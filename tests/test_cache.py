"""A derived file is whole or absent, whoever builds it."""

import hashlib
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from course_lib.data import cache
from course_lib.data.cache import cached
from course_lib.data.catalogue import DataFileError


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
    monkeypatch.setattr(cache.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    assert cache.cache_folder() == tmp_path / below_home / "every-answer-runs"
    assert list(tmp_path.iterdir()) == []  # asking creates nothing


@pytest.mark.parametrize("name", ["../features.npz", "/tmp/features.npz", "a/../../features.npz"])
def test_a_name_that_leads_out_of_the_cache_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="does not lead to a file below"):
        cached(name, lambda path: path.write_bytes(b"x") and None, folder=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
