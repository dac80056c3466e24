"""The miniature COCO is read by the loader of the real one."""

from course_lib.data.collections import load_coco_captions
from course_lib.data.miniature import write_coco
from course_lib.data.photos import load_photos


def test_the_loader_of_coco_reads_it(tmp_path):
    photos = load_photos()
    file = write_coco(tmp_path, photos, split="train2017")
    assert file == tmp_path / "annotations/captions_train2017.json"
    records = load_coco_captions(tmp_path, "train2017")
    assert [record.captions for record in records] == [photo.captions for photo in photos]
    assert [record.group for record in records] == [str(number) for number in range(len(photos))]
