"""What lies in datasets/ is listed, unchanged, licensed, small, and described by its README."""

import hashlib

from course_lib.data.catalogue import CATALOGUE, COMMAND, DATASETS, TABLE, damage, render, renewed, table

LICENCES = ("CC0", "CC BY 2.0", "CC BY 4.0", "public domain", "Apache-2.0", "MIT", "Unicode-3.0")


def committed_data():
    files = (path for path in DATASETS.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(DATASETS).as_posix() for path in files} - {CATALOGUE, TABLE}


def test_every_file_is_listed_and_every_listed_file_is_there():
    assert {entry.file for entry in table()} == committed_data()


def test_the_catalogue_is_renewed_after_a_new_text_or_a_new_row():
    assert table() == renewed(), f"run {COMMAND} and commit datasets/"


def test_every_file_is_whole():
    assert {entry.file: found for entry in table() if (found := damage(entry)) is not None} == {}


def test_sizes_and_hashes_are_those_of_the_files():
    for entry in table():
        if entry.sha256 is not None:
            content = (DATASETS / entry.file).read_bytes()
            assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest()), entry.file


def test_the_readme_is_rendered_from_the_catalogue():
    assert (DATASETS / "README.md").read_text(encoding="utf-8") == render(table())


def test_the_whole_folder_stays_below_10_megabytes():
    assert sum(path.stat().st_size for path in DATASETS.rglob("*") if path.is_file()) <= 10_000_000


def test_every_row_names_a_free_licence_an_origin_and_a_remedy():
    for entry in table():
        assert entry.licence.startswith(LICENCES), entry
        assert (entry.rows is None) == (entry.file.endswith((".yaml", ".json")) and entry.sha256 is None), entry
        assert entry.rows is None or entry.rows >= 1, entry
        assert entry.made_by and entry.restore, entry
        assert entry.restore.endswith(f"datasets/{entry.file}") or entry.restore.startswith("course "), entry


def test_there_is_no_code_in_datasets():
    assert [path.name for path in DATASETS.rglob("*.py")] == []
