"""Loaders on small folders in the published formats, whole and broken in every way that learners break them."""

import json

import pytest
from PIL import Image

from course_lib.data.annotations import CollectionError, Offer
from course_lib.data.collections import COCO, VQA_V2, load_coco_captions, load_vqa_v2
from course_lib.data.flickr import FLICKR8K, FLICKR30K, load_flickr8k, load_flickr30k


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (30, 60, 90)).save(path)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@pytest.fixture
def coco(tmp_path):
    """Two images, one with two captions; keys and order as in captions_val2017.json."""
    folder = tmp_path / "coco"
    images = [
        {"license": 4, "file_name": "000000397133.jpg", "coco_url": "", "height": 427, "width": 640, "id": 397133},
        {"license": 1, "file_name": "000000037777.jpg", "coco_url": "", "height": 230, "width": 352, "id": 37777},
    ]
    annotations = [
        {"image_id": 397133, "id": 38, "caption": "A man in a kitchen."},
        {"image_id": 37777, "id": 41, "caption": "Fruit on a counter. "},
        {"image_id": 397133, "id": 182, "caption": "A person is cooking."},
    ]
    write(
        folder / "annotations/captions_val2017.json",
        {"info": {"year": 2017}, "licenses": [], "images": images, "annotations": annotations},
    )
    for each in images:
        picture(folder / "val2017" / each["file_name"])
    return folder


TOKENS = "\n".join(
    f"{name}#{n}\tcaption {n} of {name} ." for name in ("1_a.jpg", "2_b.jpg", "3_c.jpg") for n in range(5)
)


@pytest.fixture
def flickr8k(tmp_path):
    write(tmp_path / "Flickr8k.token.txt", TOKENS + "\n9_z.jpg.1#0\tan image that is not there\n")
    for part, names in {"train": "2_b.jpg\n1_a.jpg\n", "dev": "3_c.jpg\n", "test": ""}.items():
        write(tmp_path / f"Flickr_8k.{part}Images.txt", names)
    for name in ("1_a", "2_b", "3_c"):
        picture(tmp_path / "Flicker8k_Dataset" / f"{name}.jpg")
    return tmp_path


@pytest.fixture
def flickr30k(tmp_path):
    for name in ("1_a", "2_b", "3_c"):
        picture(tmp_path / "flickr30k-images" / f"{name}.jpg")
    return tmp_path


KARPATHY = {
    "images": [
        {
            "sentids": [0, 1],
            "imgid": 0,
            "sentences": [{"tokens": ["a", "dog"], "raw": "A dog .", "imgid": 0, "sentid": 0}] * 2,
            "split": split,
            "filename": name,
        }
        for name, split in (("1_a.jpg", "train"), ("2_b.jpg", "val"), ("3_c.jpg", "test"))
    ],
    "dataset": "flickr30k",
}


@pytest.fixture
def vqa(tmp_path):
    questions = [
        {"image_id": 42, "question": "What colour is it?", "question_id": 42000},
        {"image_id": 42, "question": "How many?", "question_id": 42001},
        {"image_id": 7, "question": "Is it a cat?", "question_id": 7000},
    ]
    annotations = [
        {
            "question_type": "what",
            "multiple_choice_answer": "red",
            "answers": [
                {"answer": "red" if person < 6 else "dark red", "answer_confidence": "yes", "answer_id": person + 1}
                for person in range(10)
            ],
            "image_id": each["image_id"],
            "answer_type": "other",
            "question_id": each["question_id"],
        }
        for each in reversed(questions)
    ]
    head = {"info": {}, "data_type": "mscoco", "data_subtype": "val2014", "license": {}}
    write(
        tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json",
        head | {"task_type": "Open-Ended", "questions": questions},
    )
    write(tmp_path / "v2_mscoco_val2014_annotations.json", head | {"annotations": annotations})
    for image in (42, 7):
        picture(tmp_path / f"val2014/COCO_val2014_{image:012d}.jpg")
    return tmp_path


def test_coco(coco):
    first, second = load_coco_captions(coco)
    assert (first.group, first.captions, first.split) == ("37777", ("Fruit on a counter.",), "val2017")
    assert second.captions == ("A man in a kitchen.", "A person is cooking.")
    assert second.path == coco / "val2017/000000397133.jpg" and second.path.exists()


def test_flickr8k_follows_the_lists(flickr8k):
    train = load_flickr8k(flickr8k, "train")
    assert [record.group for record in train] == ["2_b.jpg", "1_a.jpg"]
    assert train[1].captions == tuple(f"caption {n} of 1_a.jpg ." for n in range(5))
    (dev,) = load_flickr8k(str(flickr8k), "dev")
    assert dev.path == flickr8k / "Flicker8k_Dataset/3_c.jpg"


def test_flickr8k_numbers_decide_the_order_of_captions(flickr8k):
    write(flickr8k / "Flickr8k.token.txt", "\n".join(reversed(TOKENS.splitlines())))
    assert load_flickr8k(flickr8k, "dev")[0].captions[0] == "caption 0 of 3_c.jpg ."


def test_flickr30k_from_the_token_file(flickr30k):
    write(flickr30k / "results_20130124.token", TOKENS)
    records = load_flickr30k(flickr30k)
    assert [(record.group, len(record.captions)) for record in records] == [
        ("1_a.jpg", 5),
        ("2_b.jpg", 5),
        ("3_c.jpg", 5),
    ]
    with pytest.raises(CollectionError, match="names no splits; 'test' needs dataset_flickr30k.json"):
        load_flickr30k(flickr30k, "test")


def test_flickr30k_with_the_splits_of_karpathy(flickr30k):
    write(flickr30k / "dataset_flickr30k.json", KARPATHY)
    assert [record.group for record in load_flickr30k(flickr30k, "val")] == ["2_b.jpg"]
    assert [record.split for record in load_flickr30k(flickr30k)] == ["train", "val", "test"]
    assert load_flickr30k(flickr30k, "test")[0].captions == ("A dog .", "A dog .")


def test_vqa_v2(vqa):
    records = load_vqa_v2(vqa)
    assert [record.question_id for record in records] == [42000, 42001, 7000]
    assert [record.group for record in records] == ["42", "42", "7"]
    assert records[0].answers == ("red",) * 6 + ("dark red",) * 4 and records[0].answer_type == "other"
    assert records[2].path == vqa / "val2014/COCO_val2014_000000000007.jpg"


LOADERS = [(load_coco_captions, COCO), (load_flickr8k, FLICKR8K), (load_flickr30k, FLICKR30K), (load_vqa_v2, VQA_V2)]


@pytest.mark.parametrize("load, offer", LOADERS, ids=lambda each: getattr(each, "name", ""))
def test_a_missing_or_empty_folder_says_what_to_fetch(load, offer, tmp_path):
    assert isinstance(offer, Offer)
    for folder, what in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "holds no")):
        with pytest.raises(CollectionError, match=what) as caught:
            load(folder)
        for part in (offer.page, offer.licence, offer.files, *offer.layout):
            assert part in str(caught.value)


def test_a_file_instead_of_a_folder(coco):
    with pytest.raises(CollectionError, match="captions_val2017.json is a file"):
        load_coco_captions(coco / "annotations/captions_val2017.json")


@pytest.mark.parametrize("level", ["coco/annotations", "coco/val2017", ""])
def test_a_wrong_level_is_told_from_a_missing_download(coco, level):
    with pytest.raises(CollectionError, match=f"name the folder {coco} instead of") as caught:
        load_coco_captions(coco.parent / level)
    assert "fetch" not in str(caught.value)


def test_a_file_beside_its_place(coco):
    (coco / "annotations/captions_val2017.json").rename(coco / "captions_val2017.json")
    with pytest.raises(CollectionError, match=r"captions_val2017.json is: move it to \S*annotations/captions_val2017"):
        load_coco_captions(coco)


def test_a_part_in_a_subfolder_is_moved_not_named(coco, flickr8k):
    """To name `images` would lose the annotations, and the next message would name the old folder again."""
    (coco / "images").mkdir()
    (coco / "val2017").rename(coco / "images/val2017")
    with pytest.raises(CollectionError, match=r"images/val2017 is: move it to \S*coco/val2017$"):
        load_coco_captions(coco)
    (flickr8k / "Flickr8k_text").mkdir()
    (flickr8k / "Flickr8k.token.txt").rename(flickr8k / "Flickr8k_text/Flickr8k.token.txt")
    with pytest.raises(CollectionError, match=r"move it to \S*Flickr8k.token.txt$"):
        load_flickr8k(flickr8k)


def test_images_one_level_too_deep(coco):
    (coco / "val2017").rename(coco / "deep")
    (coco / "val2017").mkdir()
    (coco / "deep").rename(coco / "val2017/val2017")
    with pytest.raises(CollectionError, match="val2017/val2017/000000037777.jpg is: move the images up one level"):
        load_coco_captions(coco, leave_out_missing=True)


def test_an_archive_that_is_still_packed(coco):
    (coco / "val2017").rename(coco / "elsewhere")
    (coco / "val2017.zip").write_bytes(b"PK")
    with pytest.raises(CollectionError, match="holds no val2017 yet; unpack val2017.zip first"):
        load_coco_captions(coco)


def test_a_file_for_a_folder_and_a_folder_for_a_file(coco):
    (coco / "val2017").rename(coco / "elsewhere")
    (coco / "val2017").write_text("")
    with pytest.raises(CollectionError, match="val2017 is a file and should be a folder"):
        load_coco_captions(coco)
    (coco / "annotations/captions_val2017.json").unlink()
    (coco / "annotations/captions_val2017.json").mkdir()
    with pytest.raises(CollectionError, match="captions_val2017.json is a folder and should be a file"):
        load_coco_captions(coco)


def test_a_folder_in_the_home_directory(coco, monkeypatch):
    monkeypatch.setenv("HOME", str(coco.parent))
    monkeypatch.setenv("USERPROFILE", str(coco.parent))
    assert len(load_coco_captions("~/coco")) == 2


@pytest.mark.parametrize("cut", [2, 40, 400])
def test_a_cut_off_json(vqa, cut):
    path = vqa / "v2_mscoco_val2014_annotations.json"
    path.write_text(path.read_text(encoding="utf-8")[:-cut], encoding="utf-8")
    with pytest.raises(CollectionError, match=r"annotations.json is cut off after [\d,]+ bytes"):
        load_vqa_v2(vqa)


def test_an_empty_json_and_a_damaged_one(vqa):
    path = vqa / "v2_mscoco_val2014_annotations.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text("")
    with pytest.raises(CollectionError, match="cut off after 0 bytes"):
        load_vqa_v2(vqa)
    path.write_text(whole.replace('"answers"', "answers", 1))
    with pytest.raises(CollectionError, match="is no JSON: .* in line 1, column"):
        load_vqa_v2(vqa)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"images": [], "annotations": [' + "9" * 5_000 + "]}"])
def test_a_json_that_only_an_attacker_writes(coco, text):
    write(coco / "annotations/captions_val2017.json", text)
    with pytest.raises(CollectionError, match="is no JSON that was published: "):
        load_coco_captions(coco)


def test_a_web_page_saved_as_json_and_a_byte_order_mark(coco):
    path = coco / "annotations/captions_val2017.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text("<html>not found</html>", encoding="utf-8")
    with pytest.raises(CollectionError, match="is no JSON: .*it begins with '<html>not found"):
        load_coco_captions(coco)
    path.write_text(whole, encoding="utf-8-sig")
    assert len(load_coco_captions(coco)) == 2


@pytest.mark.parametrize(
    "change, what",
    [
        ({"annotations": None}, "has a NoneType under 'annotations', not a list"),
        ({"annotations": [{"image_id": 37777, "caption": None}]}, "record 0 has None as 'caption', not a str"),
        ({"images": [{"id": "37777", "file_name": "a.jpg"}]}, "record 0 has '37777' as 'id', not a int"),
    ],
)
def test_values_of_another_kind(coco, change, what):
    path = coco / "annotations/captions_val2017.json"
    write(path, json.loads(path.read_text(encoding="utf-8")) | change)
    with pytest.raises(CollectionError, match=what):
        load_coco_captions(coco)


def test_a_compressed_file(coco):
    (coco / "annotations/captions_val2017.json").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(CollectionError, match="has to be unpacked first"):
        load_coco_captions(coco)


def test_another_annotation_file_of_the_same_collection(coco):
    write(coco / "annotations/captions_val2017.json", {"info": {}, "annotations": [], "categories": []})
    with pytest.raises(CollectionError, match=r"lacks \['images'\], it has \['annotations', 'categories', 'info'\]"):
        load_coco_captions(coco)
    write(coco / "annotations/captions_val2017.json", {"images": [], "annotations": [{"image_id": 1, "bbox": []}]})
    with pytest.raises(CollectionError, match="record 0 lacks 'caption', it has"):
        load_coco_captions(coco)


def test_a_caption_for_an_unlisted_image(coco):
    path = coco / "annotations/captions_val2017.json"
    found = json.loads(path.read_text())
    write(path, found | {"images": found["images"][:1]})
    with pytest.raises(CollectionError, match="has captions for image 37777, which it does not list"):
        load_coco_captions(coco)


def test_a_caption_for_a_missing_image(coco):
    (coco / "val2017/000000037777.jpg").unlink()
    with pytest.raises(CollectionError, match=r"1 of 2 records .* have no image, the first is \S*000000037777.jpg"):
        load_coco_captions(coco)
    assert [record.group for record in load_coco_captions(coco, leave_out_missing=True)] == ["397133"]


def test_no_image_at_all(coco):
    for path in (coco / "val2017").iterdir():
        path.unlink()
    with pytest.raises(CollectionError, match=r"holds none of them .*000000037777.jpg(.|\n)*2017 val images"):
        load_coco_captions(coco, leave_out_missing=True)


def test_flickr_lists_and_captions_that_do_not_match(flickr8k):
    write(flickr8k / "Flickr_8k.devImages.txt", "4_d.jpg\n")
    with pytest.raises(CollectionError, match="has no caption for 4_d.jpg, which Flickr_8k.devImages.txt lists"):
        load_flickr8k(flickr8k, "dev")
    write(flickr8k / "Flickr8k.token.txt", "1_a.jpg a caption without number and tab")
    with pytest.raises(
        CollectionError, match="line 1: '1_a.jpg a caption .* is not `image.jpg#0`, a tab .* fetch the original file"
    ):
        load_flickr8k(flickr8k)


def test_an_empty_list_is_refused(flickr8k, coco):
    with pytest.raises(CollectionError, match="describes no image of this split; fetch the files again"):
        load_flickr8k(flickr8k, "test")
    write(coco / "annotations/captions_val2017.json", {"images": [], "annotations": []})
    with pytest.raises(CollectionError, match="describes no image of this split"):
        load_coco_captions(coco)


def test_questions_without_answers(vqa):
    path = vqa / "v2_mscoco_val2014_annotations.json"
    found = json.loads(path.read_text())
    write(path, found | {"annotations": found["annotations"][:2]})
    with pytest.raises(CollectionError, match="has no answers to question 42000; fetch both files of one split"):
        load_vqa_v2(vqa)


@pytest.mark.parametrize("load, split", [(load_coco_captions, "test2017"), (load_vqa_v2, "test2015")])
def test_splits_without_published_answers_are_refused(load, split, tmp_path):
    with pytest.raises(ValueError, match=f"'{split}' is not published with captions or answers; try one of"):
        load(tmp_path, split)


ODD = "a\u2028line \u0085 that\x0cgoes\x1d on"  # all at which str.splitlines cuts, none of which ends a line here


def test_signs_that_some_take_for_line_ends_stay_inside_a_caption(flickr8k):
    write(flickr8k / "Flickr8k.token.txt", TOKENS.replace("caption 3 of 2_b.jpg .", ODD).replace("\n", "\r\n"))
    (record,) = (record for record in load_flickr8k(flickr8k) if record.group == "2_b.jpg")
    assert record.captions[3] == ODD and record.captions[4] == "caption 4 of 2_b.jpg ."


def test_a_number_that_comes_twice_is_refused(flickr8k):
    write(flickr8k / "Flickr8k.token.txt", TOKENS.replace("2_b.jpg#3", "2_b.jpg#1"))
    with pytest.raises(CollectionError, match=r"line 9: 2_b.jpg has a caption number 1 already"):
        load_flickr8k(flickr8k)


@pytest.mark.parametrize("number", ["²", "-1", "x", "", "9" * 5000])
def test_what_is_no_number_is_refused(flickr8k, number):
    write(flickr8k / "Flickr8k.token.txt", TOKENS.replace("2_b.jpg#3", f"2_b.jpg#{number}"))
    with pytest.raises(CollectionError, match=r"line 9: .* is not `image.jpg#0`, a tab and a caption"):
        load_flickr8k(flickr8k)


def change(path, key, edit):
    """Edit the list under one key of a JSON file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    edit(found[key])
    write(path, found)


def test_an_image_id_or_a_file_that_is_listed_twice_is_refused(coco):
    path = coco / "annotations/captions_val2017.json"
    whole = path.read_text(encoding="utf-8")
    change(path, "images", lambda images: images.append(images[1] | {"file_name": "000000000001.jpg"}))
    with pytest.raises(CollectionError, match="image 37777 twice, as 000000037777.jpg and as 000000000001.jpg"):
        load_coco_captions(coco)
    write(path, whole)
    change(path, "images", lambda images: images.append(images[1] | {"id": 5}))
    with pytest.raises(CollectionError, match="000000037777.jpg twice, as image 37777 and as 5"):
        load_coco_captions(coco)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg", r"..\secret.jpg", "C:/secret.jpg", "a/../../x"])
def test_a_name_that_leads_out_of_the_image_folder_is_refused(coco, flickr8k, flickr30k, name):
    picture(coco / "secret.jpg")
    change(coco / "annotations/captions_val2017.json", "images", lambda images: images[0].update(file_name=name))
    with pytest.raises(CollectionError, match=r"captions_val2017.json: the name .* does not lead to a file below"):
        load_coco_captions(coco)
    write(flickr8k / "Flickr8k.token.txt", TOKENS + f"\n{name}#0\ta caption\n")
    write(flickr8k / "Flickr_8k.trainImages.txt", f"1_a.jpg\n{name}\n")
    with pytest.raises(CollectionError, match=r"trainImages.txt: the name .* does not lead to a file below"):
        load_flickr8k(flickr8k)
    write(flickr30k / "results_20130124.token", f"{name}#0\ta caption\n")
    with pytest.raises(CollectionError, match=r"results_20130124.token: the name .* does not lead to a file below"):
        load_flickr30k(flickr30k)


def test_a_link_out_of_the_folder_is_refused_and_a_linked_folder_is_not(coco):
    outside = coco.parent / "disk"
    picture(outside / "secret.jpg")
    image = coco / "val2017/000000037777.jpg"
    image.unlink()
    image.symlink_to(outside / "secret.jpg")
    with pytest.raises(CollectionError, match=r"000000037777.jpg is a link out of \S*coco, to \S*secret.jpg"):
        load_coco_captions(coco)
    image.unlink()
    picture(coco / "all/x.jpg")
    image.symlink_to(coco / "all/x.jpg")  # out of val2017, but not out of the learner's folder
    (coco / "val2017").rename(outside / "val2017")
    (coco / "val2017").symlink_to(outside / "val2017")  # a large disk, the learner's choice
    assert len(load_coco_captions(coco)) == 2


def test_a_name_in_a_folder_that_is_not_there_has_no_image(coco):
    change(coco / "annotations/captions_val2017.json", "images", lambda images: images[0].update(file_name="sub/a.jpg"))
    with pytest.raises(CollectionError, match="1 of 2 records .* have no image"):
        load_coco_captions(coco)


def test_empty_captions_are_counted_and_left_out(coco, flickr8k):
    path = coco / "annotations/captions_val2017.json"
    change(path, "annotations", lambda each: (each[0].update(caption=" \n"), each[1].update(caption="")))
    with pytest.warns(
        UserWarning, match=r"2 of 3 captions are empty .* first belongs to 397133; 1 images have no other"
    ):
        (record,) = load_coco_captions(coco)
    assert record.captions == ("A person is cooking.",)
    write(flickr8k / "Flickr8k.token.txt", TOKENS.replace("caption 0 of 1_a.jpg .", ""))
    with pytest.warns(UserWarning, match=r"Flickr8k.token.txt: 1 of 15 captions are empty"):
        assert len(load_flickr8k(flickr8k)[1].captions) == 4


def test_lists_that_name_an_image_twice_are_refused(flickr8k, flickr30k):
    write(flickr8k / "Flickr_8k.trainImages.txt", "2_b.jpg\n1_a.jpg\n2_b.jpg\n")
    with pytest.raises(CollectionError, match="trainImages.txt lists 1 images twice, the first is 2_b.jpg"):
        load_flickr8k(flickr8k)
    twice = KARPATHY["images"] + [KARPATHY["images"][0] | {"split": "test"}]  # on both sides of a split
    write(flickr30k / "dataset_flickr30k.json", {"images": twice})
    with pytest.raises(CollectionError, match="dataset_flickr30k.json lists 1 images twice, the first is 1_a.jpg"):
        load_flickr30k(flickr30k)
    write(flickr30k / "dataset_flickr30k.json", {"images": [KARPATHY["images"][0] | {"sentences": []}]})
    with pytest.raises(CollectionError, match="record 0 has an empty list as 'sentences'"):
        load_flickr30k(flickr30k)


def test_ids_and_answers_that_do_not_match_are_refused(vqa):
    questions = vqa / "v2_OpenEnded_mscoco_val2014_questions.json"
    answers = vqa / "v2_mscoco_val2014_annotations.json"
    cases = [
        (answers, "annotations", lambda a: a[0].update(answers=[]), "record 0 has an empty list as 'answers'"),
        (answers, "annotations", lambda a: a[2].update(image_id=7), "42000 is about image 42 in .* and about 7 in"),
        (answers, "annotations", lambda a: a.append(a[0]), "answers question 7000 twice .record 3"),
        (questions, "questions", lambda q: q.append(q[0]), "question 42000 comes twice .record 3"),
        (questions, "questions", lambda q: q[1].update(question=" "), "question 42001 is empty .record 1"),
        (questions, "questions", lambda q: q[1].update(image_id=True), "record 1 has True as 'image_id', not a int"),
    ]
    for path, key, edit, message in cases:
        whole = path.read_text(encoding="utf-8")
        change(path, key, edit)
        with pytest.raises(CollectionError, match=message):
            load_vqa_v2(vqa)
        write(path, whole)
    assert len(load_vqa_v2(vqa)) == 3


def test_answers_to_questions_that_are_not_asked_are_counted(vqa):
    change(vqa / "v2_OpenEnded_mscoco_val2014_questions.json", "questions", lambda questions: questions.pop())
    with pytest.warns(UserWarning, match="1 of 3 records of v2_mscoco_val2014_annotations.json answer questions that"):
        assert len(load_vqa_v2(vqa)) == 2


@pytest.mark.parametrize(
    "content, message",
    [
        ("1_a.jpg#0\tUn café à Nîmes\n".encode("latin-1"), r"seems, in Windows-1252 or Latin-1: .* 'café'; .* iconv"),
        ("é#0\tx\n".encode("cp1252"), r"Windows-1252 or Latin-1: .* 'é#0'"),
        ("1_a.jpg#0\tcafé\n".encode("utf-16"), r"is written in UTF-16, not UTF-8; .*iconv -f UTF-16 -t UTF-8"),
        ("1_a.jpg#0\tcafé".encode()[:-1], r"is cut off after 14 bytes"),
        (b"\x1f\x8b\x08\x00\xff", "is a gzip file; it has to be unpacked first"),
        (b"\x00\x01\xff\xfe\x02", "is not text .byte 2 is no UTF-8.; a compressed file has to be unpacked"),
    ],
    ids=["Latin-1", "Windows-1252", "UTF-16", "cut in a letter", "gzip", "binary"],
)
def test_another_encoding_is_named_with_how_to_convert_it(flickr8k, content, message):
    (flickr8k / "Flickr8k.token.txt").write_bytes(content)
    with pytest.raises(CollectionError, match=message):
        load_flickr8k(flickr8k)


BARRED = [
    f'{name}| {n}| Caption {n} of {name} , "with | bars" .' for name in ("1_a.jpg", "2199200615.jpg") for n in range(5)
]
SPOILT = "2199200615.jpg| 4   A dog runs across the grass ."
RESULTS = "\n".join(["image_name| comment_number| comment", *BARRED[:-1], SPOILT])


@pytest.fixture
def passed_on(tmp_path):
    """Flickr30k as most people get it: a folder in a folder of the same name, and a line without its second bar."""
    folder = tmp_path / "flickr30k_images"
    for name in ("1_a.jpg", "2199200615.jpg"):
        picture(folder / "flickr30k_images" / name)
    write(folder / "results.csv", RESULTS)
    write(folder / "flickr30k_images/results.csv", RESULTS)
    return folder


def test_flickr30k_as_it_is_passed_on(passed_on):
    first, second = load_flickr30k(passed_on)
    assert first.captions[2] == 'Caption 2 of 1_a.jpg , "with | bars" .' and len(first.captions) == 5
    assert second.captions[4] == "A dog runs across the grass ." and len(second.captions) == 5
    assert second.path == passed_on / "flickr30k_images/2199200615.jpg"
    with pytest.raises(CollectionError, match="results.csv names no splits; 'val' needs dataset_flickr30k.json"):
        load_flickr30k(passed_on, "val")


def test_flickr30k_as_it_is_passed_on_one_level_off(passed_on):
    with pytest.raises(CollectionError, match=r"results.csv is: name the folder \S*flickr30k_images instead of"):
        load_flickr30k(passed_on.parent)
    assert len(load_flickr30k(passed_on / "flickr30k_images")) == 2  # the captions lie beside the images, too


def test_a_spoilt_line_of_results_csv_is_named(passed_on):
    for line in ("2_b.jpg, 0, commas", "2_b.jpg| no number", "2_b.jpg| 4 one space only"):
        write(passed_on / "results.csv", RESULTS + f"\n{line}\n")
        with pytest.raises(CollectionError, match=r"results.csv, line 12: .* is not `image.jpg. 0. caption`"):
            load_flickr30k(passed_on)
    write(passed_on / "results.csv", RESULTS + "\n1_a.jpg| 4| again\n")
    with pytest.raises(CollectionError, match="line 12: 1_a.jpg has a caption number 4 already"):
        load_flickr30k(passed_on)
