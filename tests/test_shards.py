"""Shards: whole pairs, the same bytes, each example read once, a cut-off file refused."""

import io
import random
import subprocess
import sys
import tarfile
from collections import Counter

import pytest

from course_lib.data.shard_index import index_of
from course_lib.data.shards import own_share, read_shard, shuffled, write_shards

EXAMPLES = [{"png": bytes([number, 255 - number]), "txt": f"picture {number}".encode()} for number in range(11)]


def test_pairs_come_back_whole_and_in_order(tmp_path):
    files = write_shards(tmp_path / "a", EXAMPLES, per_shard=4)
    assert [file.name for file in files] == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    assert [example for file in files for example in read_shard(file)] == EXAMPLES
    again = write_shards(tmp_path / "b", EXAMPLES, per_shard=4)
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_names_follow_the_webdataset_convention(tmp_path):
    file = write_shards(tmp_path, EXAMPLES[:2], per_shard=4)[0]
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["000000.png", "000000.txt", "000001.png", "000001.txt"]


@pytest.mark.parametrize("cut", [1, 700, 1024 * 9])
def test_a_cut_off_shard_is_refused(tmp_path, cut):
    file = write_shards(tmp_path, EXAMPLES, per_shard=20)[0]
    file.write_bytes(file.read_bytes()[: -10240 + 1024 * 3 - cut] if cut > 1 else b"no tar" * 300)
    with pytest.raises(ValueError, match="shard-000000.tar (is cut off or no tar file|cannot be read)"):
        list(read_shard(file))


def test_old_shards_are_not_mixed_with_new_ones(tmp_path):
    write_shards(tmp_path, EXAMPLES, per_shard=4)
    with pytest.raises(FileExistsError, match="already holds shards"):
        write_shards(tmp_path, EXAMPLES, per_shard=4)
    with pytest.raises(ValueError, match="per_shard 0"):
        write_shards(tmp_path / "c", EXAMPLES, per_shard=0)


def test_every_shard_has_one_reader():
    shares = [
        own_share(range(13), rank=rank, processes=2, worker=worker, workers=3)
        for rank in range(2)
        for worker in range(3)
    ]
    assert sorted(shard for share in shares for shard in share) == list(range(13))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    with pytest.raises(ValueError, match="13 shards for 14 readers"):
        own_share(range(13), rank=0, processes=2, worker=0, workers=7)
    with pytest.raises(ValueError, match="both count from 0"):
        own_share(range(13), rank=2, processes=2, worker=0, workers=3)


@pytest.mark.parametrize("buffer", [1, 5, 50])
def test_a_shuffle_loses_nothing_and_brings_nothing_too_early(buffer):
    order = list(shuffled(range(40), buffer=buffer, seed=0))
    assert Counter(order) == Counter(range(40))
    assert all(item - place < buffer for place, item in enumerate(order))
    assert (order == list(range(40))) == (buffer == 1)
    assert order == list(shuffled(range(40), buffer=buffer, seed=0))
    with pytest.raises(ValueError, match="buffer 0"):
        list(shuffled(range(3), buffer=0, seed=0))


def packed(path, *names):
    """A tar file as other tools write it; each file holds its own name."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            content = b"" if name.endswith("/") else name.encode()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_dot_in_a_folder_does_not_end_the_name(tmp_path):
    """`tar -cf x.tar .` writes `./` first, and `./` before every name."""
    file = packed(tmp_path / "x.tar", "./", "./0.png", "./0.txt", "./v1.2/", "./v1.2/0.png", "./v1.2/0.seg.png")
    assert list(read_shard(file)) == [
        {"png": b"./0.png", "txt": b"./0.txt"},
        {"png": b"./v1.2/0.png", "seg.png": b"./v1.2/0.seg.png"},
    ]


@pytest.mark.parametrize(
    "names, message",
    [(("0.png", "1.png", "0.txt"), "0.txt comes twice or apart"), (("0.png", "0.png"), "0.png comes twice or apart")]
    + [(("0.png", "readme"), "holds readme, which is no file such as"), ((".hidden",), "holds .hidden")],
)
def test_pairs_that_are_apart_and_other_files_are_refused(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        list(read_shard(packed(tmp_path / "x.tar", *names)))


def test_an_empty_example_is_refused(tmp_path):
    with pytest.raises(ValueError, match="example 5 is empty"):
        write_shards(tmp_path, [*EXAMPLES[:5], {}, *EXAMPLES[5:]], per_shard=4)


def damaged(path, rng):
    """The bytes of a file with one bit flipped."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def read_until_refused(path):
    """The examples that came before the refusal, and whether there was one."""
    found = []
    try:
        for example in read_shard(path):
            found.append(example)
    except ValueError as error:
        assert path.name.removesuffix(".tar") in str(error)
        return found, True
    return found, False


@pytest.mark.parametrize("indexed", [True, False])
def test_a_flipped_bit_is_caught_or_changes_nothing(tmp_path, indexed):
    rng = random.Random(0)
    examples = [{"png": rng.randbytes(rng.randint(50, 900)), "txt": f"text {n}".encode()} for n in range(12)]
    (file,) = write_shards(tmp_path, examples, per_shard=12)
    whole, caught, unseen = file.read_bytes(), 0, 0
    if not indexed:
        index_of(file).unlink()
    for _ in range(150):
        file.write_bytes(damaged_bytes := damaged(file, rng))
        found, refused = read_until_refused(file)
        caught += refused
        if indexed:
            assert found == examples[: len(found)], "a damaged example was returned"
            assert refused or len(found) == 12, "an example was lost without a word"
        elif not refused:  # without an index only the inside of a file may change: nothing is lost, torn or lengthened
            assert [{e: len(c) for e, c in each.items()} for each in found] == [
                {e: len(c) for e, c in each.items()} for each in examples
            ]
            unseen += found != examples
        assert damaged_bytes != whole
        file.write_bytes(whole)
    assert caught > 40 and (unseen > 10) != indexed


def test_a_flipped_bit_in_the_index_is_caught(tmp_path):
    rng = random.Random(1)
    (file,) = write_shards(tmp_path, EXAMPLES, per_shard=20)
    whole = index_of(file).read_bytes()
    for _ in range(60):
        index_of(file).write_bytes(damaged(index_of(file), rng))
        assert read_until_refused(file)[1]
        index_of(file).write_bytes(whole)
    assert list(read_shard(file, need_index=True)) == EXAMPLES


def test_an_example_that_was_lengthened_renamed_left_out_or_added_is_caught(tmp_path):
    """Whole archives, written anew by another hand: only the index knows."""
    (file,) = write_shards(tmp_path, EXAMPLES, per_shard=20)
    named = [(f"{n:06d}.{ending}", content) for n, each in enumerate(EXAMPLES) for ending, content in each.items()]
    changed = {
        r"'000003.txt' is not what was written \(bytes 9, sha256": named[:7]
        + [("000003.txt", b"picture 3\0")]
        + named[8:],
        r"'000003.tex' is not what was written \(name 000003.txt\)": named[:7]
        + [("000003.tex", named[7][1])]
        + named[8:],
        "'000003.png' is not what was written": named[:5] + named[6:],
        "ends before '000010.txt', which its index lists": named[:-1],
        "holds '000011.txt', which its index does not list": [*named, ("000011.txt", b"")],
    }
    for message, files in changed.items():
        file.write_bytes(archive_of(files))
        with pytest.raises(ValueError, match=message):
            list(read_shard(file))


def archive_of(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_a_shard_whose_index_is_lost_is_read_unless_it_is_needed(tmp_path):
    (file,) = write_shards(tmp_path, EXAMPLES, per_shard=20)
    index_of(file).unlink()
    assert list(read_shard(file)) == EXAMPLES
    with pytest.raises(ValueError, match=r"shard-000000.index.json is missing; copy it beside shard-000000.tar"):
        list(read_shard(file, need_index=True))


@pytest.mark.parametrize("ending", ["a/b", "", "..", "/txt"])
def test_an_ending_that_could_not_be_read_back_is_not_written(tmp_path, ending):
    with pytest.raises(ValueError, match=f"example 1 has the ending '{ending}'; give one without a slash"):
        write_shards(tmp_path, [EXAMPLES[0], {ending: b""}], per_shard=4)
    assert list(tmp_path.iterdir()) == []


def test_text_for_bytes_is_told_how_to_encode(tmp_path):
    """As learners call it, without the type checks of this test run."""
    code = (
        "import sys; from course_lib.data.shards import write_shards as w; w(sys.argv[1], [{'txt': 'a'}], per_shard=1)"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert "TypeError: example 0 has a str as 'txt', not bytes; encode it, as in text.encode()" in ended.stderr
    assert list(tmp_path.iterdir()) == []
