"""What lies in datasets/ is listed, unchanged, licensed, small, and described by its README."""

import hashlib

from course_lib.data.catalogue import DATASETS, render, table

OWN_TEXT = ("questions/", "recorded/", "lessons.csv", "glossary.csv", "sub_points.yaml", "errata.csv")
OWN_TEXT += ("README.md", "catalogue.json")
LICENCES = ("CC0", "CC BY 2.0", "CC BY 4.0", "public domain")


def committed_data():
    files = (path for path in DATASETS.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = {path.relative_to(DATASETS).as_posix() for path in files}
    return {name for name in names if not name.startswith(OWN_TEXT)}


def test_every_file_is_listed_and_every_listed_file_is_there():
    assert {entry.file for entry in table()} == committed_data()


def test_sizes_and_hashes_are_those_of_the_files():
    for entry in table():
        content = (DATASETS / entry.file).read_bytes()
        assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest()), entry.file


def test_the_readme_is_rendered_from_the_catalogue():
    assert (DATASETS / "README.md").read_text(encoding="utf-8") == render(table())


def test_the_whole_folder_stays_below_10_megabytes():
    assert sum(path.stat().st_size for path in DATASETS.rglob("*") if path.is_file()) <= 10_000_000


def test_every_row_names_a_free_licence_an_origin_and_a_remedy():
    for entry in table():
        assert entry.licence.startswith(LICENCES), entry
        assert entry.rows >= 1 and entry.made_by and entry.restore, entry
        assert entry.restore.endswith(f"datasets/{entry.file}") or entry.restore.startswith("course "), entry


def test_there_is_no_code_in_datasets():
    assert [path.name for path in DATASETS.rglob("*.py")] == []
