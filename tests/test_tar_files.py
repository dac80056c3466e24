"""Archives made to break a reader: larger than they are, longer than they say, with names and links that lead out."""

import io
import tarfile
import tracemalloc

import pytest

from course_lib.data import tar_files
from course_lib.data.tar_files import read_files


def archive(path, *entries, format=tarfile.PAX_FORMAT):
    """Write entries, each (name, content, {field of the header: value})."""
    with tarfile.open(path, "w", format=format) as file:
        for name, content, header in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for key, value in header.items():
                setattr(entry, key, value)
            file.addfile(entry, io.BytesIO(content))
    return path


def test_names_and_contents_in_order(tmp_path):
    long = "folder/" * 30 + "0.png"
    path = archive(tmp_path / "x.tar", ("a.txt", b"", {}), (long, bytes(700), {}), ("b.txt", b"b" * 512, {}))
    assert list(read_files(path)) == [("a.txt", b""), (long, bytes(700)), ("b.txt", b"b" * 512)]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_is_read(tmp_path, format):
    path = archive(tmp_path / "x.tar", ("f/", b"", {"type": tarfile.DIRTYPE}), ("f/é.txt", b"1", {}), format=format)
    assert list(read_files(path)) == [("f/é.txt", b"1")]


def sparse_of_six_gigabytes(path):
    """What `tar --sparse --format=pax` writes: the map before the data, the claimed size in a header."""
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "0.png"}
    pax["GNU.sparse.realsize"] = str(6 * 2**30)
    stored = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
    return archive(path, ("GNUSparseFile.0/0.png", stored, {"pax_headers": pax}))


def test_a_small_archive_that_claims_gigabytes_is_refused_before_anything_is_filled(tmp_path):
    path = sparse_of_six_gigabytes(tmp_path / "sparse.tar")
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"'0.png' claims 6,442,450,944 bytes, more than the archive stores"):
        list(read_files(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_header_that_claims_more_than_there_is(tmp_path):
    path = archive(tmp_path / "x.tar", ("a.txt", b"a", {}), ("b.txt", b"b", {"pax_headers": {"size": "5000000000"}}))
    with pytest.raises(ValueError, match="'b.txt' claims 5,000,000,000 bytes"):
        list(read_files(path))


def test_a_negative_size_does_not_send_the_reader_round_in_circles(tmp_path):
    """It moved tarfile's place backwards, for ever (CVE-2025-8194)."""
    path = archive(tmp_path / "x.tar", ("a.txt", b"a", {}), ("b.txt", b"b", {"pax_headers": {"size": "-2048"}}))
    with pytest.raises(ValueError, match="'b.txt' claims -2,048 bytes"):
        list(read_files(path))


def test_a_damaged_header_is_no_end(tmp_path):
    path = archive(tmp_path / "x.tar", ("a.txt", b"a", {}), ("b.txt", b"b", {}), ("c.txt", b"c", {}))
    content = bytearray(path.read_bytes())
    content[1024] ^= 1  # the first letter of b.txt
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x.tar is damaged at byte 1,024, after 'a.txt'"):
        list(read_files(path))


def test_archives_put_together_with_cat_are_not_read_by_half(tmp_path):
    one, two = (archive(tmp_path / f"{name}.tar", (name, b"1", {})).read_bytes() for name in ("a.txt", "b.txt"))
    (tmp_path / "both.tar").write_bytes(one + two)
    with pytest.raises(ValueError, match="both.tar goes on after its end mark at byte 1,024"):
        list(read_files(tmp_path / "both.tar"))


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_files, "MOST_FILES", 3)
    path = archive(tmp_path / "x.tar", *((f"{n}.txt", b"", {}) for n in range(4)))
    with pytest.raises(ValueError, match="holds more than 3 files; write smaller shards"):
        list(read_files(path))


def test_headers_that_refer_to_headers_for_ever(tmp_path):
    """A thousand long names in a row: tarfile calls itself for each."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2
    block = entry.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    (tmp_path / "x.tar").write_bytes(block * 2000 + bytes(1024))
    with pytest.raises(ValueError, match="x.tar cannot be read as a tar file .*recursion"):
        list(read_files(tmp_path / "x.tar"))


@pytest.mark.parametrize(
    "name, header, message",
    [
        ("../0.png", {}, "a name that leads out of the archive"),
        ("/etc/0.png", {}, "a name that leads out of the archive"),
        ("a/../../0.png", {}, "a name that leads out of the archive"),
        ("0.png", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link or a device"),
        ("0.png", {"type": tarfile.LNKTYPE, "linkname": "1.png"}, "a link or a device"),
        ("0.png", {"type": tarfile.FIFOTYPE}, "a link or a device"),
        ("0.png", {"type": tarfile.CHRTYPE}, "a link or a device"),
    ],
)
def test_names_and_links_that_lead_out(tmp_path, name, header, message):
    with pytest.raises(ValueError, match=message):
        list(read_files(archive(tmp_path / "x.tar", (name, b"", header))))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_long_name_that_claims_terabytes_reserves_no_memory(tmp_path, kind):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = kind, 2**43
    (tmp_path / "x.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0") + bytes(1024))
    tracemalloc.start()
    with pytest.raises(ValueError, match="x.tar cannot be read as a tar file"):
        list(read_files(tmp_path / "x.tar"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
