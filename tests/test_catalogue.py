"""A damaged file is never read; a text that changes with the course is told whole from cut."""

import hashlib
import json
import os

import pytest

from course_lib.data import catalogue
from course_lib.data.catalogue import DataFileError, damage, find, record, render, renewed, table

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
    how = "cut short" if len(damaged) < len(CONTENT) else "altered"
    assert lines[2] == f"  found:    {how} (sha256 {found} in {len(damaged)} bytes)"
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


YAML = "# two records\n- id: a\n  text: the first\n- id: b\n  text: the second\n...\n"
CSV = 'term,lesson\n"one, or none",01\n"two\nlines",02\nthree,03\n'


@pytest.fixture
def own(folder):
    """Texts of the course beside the two recorded files."""
    for name, text in {"sub/bank.yaml": YAML, "terms.csv": CSV, "figures.json": '{"a": [1]}\n'}.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    catalogue._save(renewed(folder), folder)
    return folder


def test_texts_are_entered_and_only_tables_have_their_rows_counted(own):
    rows = {entry.file: entry for entry in table(own)}
    assert list(rows) == ["b.bin", "figures.json", "sub/bank.yaml", "sub/words.txt", "terms.csv"]
    assert {name: rows[name].rows for name in rows} == {
        "b.bin": 256,
        "figures.json": None,
        "sub/bank.yaml": None,
        "sub/words.txt": 7,
        "terms.csv": 3,
    }
    assert rows["terms.csv"].sha256 is None and rows["terms.csv"].restore == "git checkout -- datasets/terms.csv"
    assert find("terms.csv", folder=own).read_text(encoding="utf-8") == CSV
    assert "- `terms.csv`, 3 rows\n" in (own / "README.md").read_text(encoding="utf-8")


def test_an_edited_text_needs_no_new_entry_but_a_new_row_of_a_table_does(own):
    (own / "sub/bank.yaml").write_text(YAML.replace("- id: b", "- id: c"), encoding="utf-8")
    (own / "terms.csv").write_text(CSV.replace("three", "drei"), encoding="utf-8", newline="")
    assert renewed(own) == table(own)
    (own / "terms.csv").write_text(CSV + "four,04\n", encoding="utf-8", newline="")
    with pytest.raises(DataFileError, match=r"found:    altered: 4 rows, the catalogue has 3"):
        find("terms.csv", folder=own)
    catalogue._save(renewed(own), own)
    assert find("terms.csv", folder=own) == own / "terms.csv"


def test_a_file_of_unknown_origin_and_a_damaged_text_are_not_entered(own):
    (own / "picture.jpg").write_bytes(b"x")
    with pytest.raises(DataFileError, match=r"picture.jpg is not in the catalogue; enter it with catalogue.record"):
        renewed(own)
    (own / "picture.jpg").unlink()
    (own / "sub/bank.yaml").write_text(YAML[:-4], encoding="utf-8")
    with pytest.raises(DataFileError, match="sub/bank.yaml is cut short"):
        renewed(own)
    (own / "sub/bank.yaml").unlink()
    assert "sub/bank.yaml" not in {entry.file for entry in renewed(own)}


@pytest.mark.parametrize("file", ["../secret.txt", "/etc/passwd", "a/../../b"])
def test_a_catalogue_that_leads_out_of_its_folder_is_damaged(folder, file):
    rows = json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))
    rows[0]["file"] = file
    (folder / "catalogue.json").write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(DataFileError, match="is damaged .*does not lead to a file below"):
        table(folder)
    with pytest.raises(ValueError, match="does not lead to a file below"):
        record(file, rows=1, licence="CC0", made_by="hand", folder=folder)


@pytest.mark.parametrize("change", [{"bytes": "9"}, {"rows": "many"}, {"sha256": None}, {"file": 7}, {"extra": 1}])
def test_a_row_with_a_value_of_another_kind_is_damage(folder, change):
    rows = json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))
    (folder / "catalogue.json").write_text(json.dumps([rows[0] | change]), encoding="utf-8")
    with pytest.raises(DataFileError, match="catalogue.json is damaged"):
        table(folder)


def test_what_cannot_be_read_is_said_without_raising(own):
    (own / "terms.csv").unlink()
    (own / "terms.csv").mkdir()
    (entry,) = (entry for entry in table(own) if entry.file == "terms.csv")
    assert damage(entry, own).startswith("not readable: ")
