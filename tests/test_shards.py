"""Shards: whole pairs, the same bytes, each example read once, a cut-off file refused."""

import io
import tarfile
from collections import Counter

import pytest

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
