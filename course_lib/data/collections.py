"""COCO captions and VQA v2 as published, read from a folder that the learner names; `flickr` reads the other two.

Nothing is downloaded. Where something is missing the error names the official page, size, licence and place; see
`annotations`. The records feed `records.PictureDataset` and so the same `fit` as the course's own data. Their `group`
is the image, so `splitting.split_by_group` keeps captions and questions of one photograph together.
"""

import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from course_lib.data.annotation_text import field, read_json, said
from course_lib.data.annotations import CollectionError, Offer, find, known
from course_lib.data.collection_images import image_path, with_images
from course_lib.data.records import Asked, Captioned

_COCO_IMAGES = "annotations and captions CC BY 4.0; images belong to Flickr users under Flickr's terms of use"

COCO = Offer(
    name="COCO Captions",
    page="https://cocodataset.org/#download",
    licence=_COCO_IMAGES,
    files="2017 val images (1 GB) or 2017 train images (18 GB), and 2017 train/val annotations (241 MB)",
    layout=("annotations/captions_val2017.json", "val2017/000000000139.jpg ..."),
)
VQA_V2 = Offer(
    name="VQA v2",
    page="https://visualqa.org/download.html (questions, annotations), https://cocodataset.org/#download (images)",
    licence=_COCO_IMAGES.replace("annotations and captions", "questions and answers"),
    files="v2_Questions and v2_Annotations of Train or Val, and COCO's 2014 val (6 GB) or train (13 GB) images",
    layout=(
        "v2_OpenEnded_mscoco_val2014_questions.json",
        "v2_mscoco_val2014_annotations.json",
        "val2014/COCO_val2014_000000000042.jpg ...",
    ),
)


def load_coco_captions(
    folder: str | Path, split: str = "val2017", *, leave_out_missing: bool = False
) -> list[Captioned]:
    """Return one record per image that has captions, by image id; COCO has five captions an image, sometimes more.

    split: "val2017", "train2017", "val2014" or "train2014"; the test sets have no published captions.
    leave_out_missing: True drops images that are not in the folder, for those who fetched a part; False refuses.
    Empty captions are left out and counted in a warning; an image or a file name that is listed twice is refused, and
    an image that is a link out of `folder`. The folder of images itself may be a link, to a larger disk.
    Format: https://cocodataset.org/#format-data; Chen et al. (2015), arXiv:1504.00325.
    """
    folder = Path(folder).expanduser()
    known("split", split, ("val2017", "train2017", "val2014", "train2014"))
    path = find(folder, f"annotations/captions_{split}.json", COCO)
    images = find(folder, split, COCO)
    found = read_json(path, ("images", "annotations"))
    captions = defaultdict(list)
    for number, each in enumerate(found["annotations"]):
        image, text = field(each, "image_id", int, path, number), field(each, "caption", str, path, number)
        captions[image].append(text)
    names = _file_names(found["images"], path)
    strangers = sorted(set(captions) - set(names))
    if strangers:
        raise CollectionError(f"{path} has captions for image {strangers[0]}, which it does not list; fetch it again")
    described = sorted(said(captions, path).items())
    records = [Captioned(str(key), image_path(images, names[key], path), texts, split) for key, texts in described]
    return with_images(records, COCO, described_in=path, folder=folder, images=images, leave_out=leave_out_missing)


def _file_names(images: list[Any], path: Path) -> dict[int, str]:
    """Image id to file name, one to one: a second id would put captions to another photograph, or it on two sides."""
    names, ids = {}, {}
    for number, each in enumerate(images):
        key, name = field(each, "id", int, path, number), field(each, "file_name", str, path, number)
        if key in names:
            raise CollectionError(f"{path} lists image {key} twice, as {names[key]} and as {name}; fetch it again")
        if name in ids:
            raise CollectionError(f"{path} lists {name} twice, as image {ids[name]} and as {key}; fetch it again")
        names[key], ids[name] = name, key
    return names


def load_vqa_v2(folder: str | Path, split: str = "val2014", *, leave_out_missing: bool = False) -> list[Asked]:
    """Return one record per question with the answers of ten people, in the order of the question file.

    split: "val2014" or "train2014"; answers to the test questions are not published. leave_out_missing: as above.
    The two files must agree on the image of every question. Answers to questions that are not in the question file, as
    when somebody shortened it, are left out and counted in a warning. Format: https://visualqa.org/download.html;
    Antol et al. (2015), arXiv:1505.00468; Goyal et al. (2017), arXiv:1612.00837.
    """
    folder = Path(folder).expanduser()
    known("split", split, ("val2014", "train2014"))
    question_file = find(folder, f"v2_OpenEnded_mscoco_{split}_questions.json", VQA_V2)
    answer_file = find(folder, f"v2_mscoco_{split}_annotations.json", VQA_V2)
    images = find(folder, split, VQA_V2)
    answered, asked, records = _answers(answer_file), set(), []
    for n, each in enumerate(read_json(question_file, ("questions",))["questions"]):
        key, image = (field(each, name, int, question_file, n) for name in ("question_id", "image_id"))
        question = field(each, "question", str, question_file, n)
        if key in asked or not question.strip():
            what = "comes twice" if key in asked else "is empty"
            raise CollectionError(f"{question_file}: question {key} {what} (record {n}); fetch the file again")
        if key not in answered:
            raise CollectionError(f"{answer_file} has no answers to question {key}; fetch both files of one split")
        answers, kind, their_image = answered[key]
        if image != their_image:
            raise CollectionError(
                f"question {key} is about image {image} in {question_file.name} and about {their_image} in "
                f"{answer_file.name}; fetch both files of one split"
            )
        asked.add(key)
        path = images / f"COCO_{split}_{image:012d}.jpg"
        records.append(Asked(str(image), path, key, question, answers, kind, split))
    if len(answered) > len(asked) > 0:
        spare = f"{len(answered) - len(asked):,} of {len(answered):,} records of {answer_file.name}"
        warnings.warn(f"{spare} answer questions that {question_file.name} does not ask; left out", stacklevel=2)
    return with_images(
        records, VQA_V2, described_in=question_file, folder=folder, images=images, leave_out=leave_out_missing
    )


def _answers(path: Path) -> dict[int, tuple[tuple[str, ...], str, int]]:
    """Question id to the answers, their type and the image."""
    answered = {}
    for n, each in enumerate(read_json(path, ("annotations",))["annotations"]):
        key = field(each, "question_id", int, path, n)
        if key in answered:
            raise CollectionError(f"{path} answers question {key} twice (record {n}); fetch it again")
        given = tuple(field(answer, "answer", str, path, n) for answer in field(each, "answers", list, path, n))
        answered[key] = (given, field(each, "answer_type", str, path, n), field(each, "image_id", int, path, n))
    return answered
