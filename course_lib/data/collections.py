"""COCO captions, Flickr8k, Flickr30k and VQA v2 as published, read from a folder that the learner names.

Nothing is downloaded. Where something is missing the error names the official page, size, licence and place; see
`annotations.py`. The records feed `records.PictureDataset` and so the same `fit` as the course's own data. Their
`group` is the image, so `splitting.split_by_group` keeps captions and questions of one photograph together.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from course_lib.data.annotations import CollectionError, Offer, check_images, field, find, read_json, read_lines
from course_lib.data.records import Asked, Captioned

_COCO_IMAGES = "annotations and captions CC BY 4.0; images belong to Flickr users under Flickr's terms of use"
_RESEARCH_ONLY = "for non-commercial research and education; images under Flickr's terms of use"

COCO = Offer(
    name="COCO Captions",
    page="https://cocodataset.org/#download",
    licence=_COCO_IMAGES,
    files="2017 val images (1 GB) or 2017 train images (18 GB), and 2017 train/val annotations (241 MB)",
    layout=("annotations/captions_val2017.json", "val2017/000000000139.jpg ..."),
)
FLICKR8K = Offer(
    name="Flickr8k",
    page="https://hockenmaier.cs.illinois.edu/8k-pictures.html (a form), paper doi:10.1613/jair.3994",
    licence=_RESEARCH_ONLY,
    files="Flickr8k_Dataset.zip (about 1 GB) and Flickr8k_text.zip (about 3 MB)",
    layout=(
        "Flickr8k.token.txt",
        "Flickr_8k.trainImages.txt, ...devImages.txt, ...testImages.txt",
        "Flicker8k_Dataset/",
    ),
)
FLICKR30K = Offer(
    name="Flickr30k",
    page="https://shannon.cs.illinois.edu/DenotationGraph/ (a form), paper doi:10.1162/tacl_a_00166",
    licence=_RESEARCH_ONLY,
    files="flickr30k-images (31,783 images, about 4.4 GB) with results_20130124.token, or with the splits of Karpathy "
    "and Fei-Fei, dataset_flickr30k.json (https://cs.stanford.edu/people/karpathy/deepimagesent/)",
    layout=("flickr30k-images/", "results_20130124.token or dataset_flickr30k.json"),
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
_FLICKR8K_IMAGES = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images")  # the published archive is misspelt
_FLICKR8K_LISTS = {part: f"Flickr_8k.{part}Images.txt" for part in ("train", "dev", "test")}
Record = TypeVar("Record", Captioned, Asked)


def load_coco_captions(
    folder: str | Path, split: str = "val2017", *, leave_out_missing: bool = False
) -> list[Captioned]:
    """Return one record per image that has captions, by image id; COCO has five captions an image, sometimes more.

    split: "val2017", "train2017", "val2014" or "train2014"; the test sets have no published captions.
    leave_out_missing: True drops images that are not in the folder, for those who fetched a part; False refuses.
    Format: https://cocodataset.org/#format-data; Chen et al. (2015), arXiv:1504.00325.
    """
    folder = Path(folder).expanduser()
    _known("split", split, ("val2017", "train2017", "val2014", "train2014"))
    path = find(folder, f"annotations/captions_{split}.json", COCO)
    images = find(folder, split, COCO)
    found = read_json(path, ("images", "annotations"))
    captions = defaultdict(list)
    for number, each in enumerate(found["annotations"]):
        image, text = field(each, "image_id", int, path, number), field(each, "caption", str, path, number)
        captions[image].append(text.strip())
    names = {
        field(each, "id", int, path, n): field(each, "file_name", str, path, n)
        for n, each in enumerate(found["images"])
    }
    strangers = sorted(set(captions) - set(names))
    if strangers:
        raise CollectionError(f"{path} has captions for image {strangers[0]}, which it does not list; fetch it again")
    records = [Captioned(str(key), images / names[key], tuple(captions[key]), split) for key in sorted(captions)]
    return _with_images(records, COCO, path, leave_out_missing)


def load_flickr8k(folder: str | Path, split: str = "train", *, leave_out_missing: bool = False) -> list[Captioned]:
    """Return the 6,000 "train", 1,000 "dev" or 1,000 "test" images with five captions each, in the order of the list.

    The caption file describes 92 images more than the three lists name (one of them ends in `.jpg.1` and does not
    exist); they are in no split. Format: Flickr8k's readme; Hodosh et al. (2013), doi:10.1613/jair.3994.
    """
    folder = Path(folder).expanduser()
    _known("split", split, tuple(_FLICKR8K_LISTS))
    path = find(folder, "Flickr8k.token.txt", FLICKR8K)
    listed = [line.strip() for line in read_lines(find(folder, _FLICKR8K_LISTS[split], FLICKR8K))]
    named = [name for name in _FLICKR8K_IMAGES if (folder / name).is_dir()]
    images = find(folder, named[0] if named else _FLICKR8K_IMAGES[0], FLICKR8K)
    captions = _read_token_file(path)
    for name in listed:
        if name not in captions:
            raise CollectionError(f"{path} has no caption for {name}, which {_FLICKR8K_LISTS[split]} lists; fetch both")
    records = [Captioned(name, images / name, captions[name], split) for name in listed]
    return _with_images(records, FLICKR8K, path, leave_out_missing)


def load_flickr30k(folder: str | Path, split: str = "all", *, leave_out_missing: bool = False) -> list[Captioned]:
    """Return the images with five captions each. Young et al. (2014), doi:10.1162/tacl_a_00166.

    split: "all", or "train", "val", "test" of Karpathy and Fei-Fei (2015), arXiv:1412.2306, which need
    dataset_flickr30k.json; the original results_20130124.token names no split. The JSON is read where both are there.
    """
    folder = Path(folder).expanduser()
    _known("split", split, ("all", "train", "val", "test"))
    path = folder / "dataset_flickr30k.json"
    if path.exists():
        found = read_json(path, ("images",))["images"]
        keys = {"filename": str, "split": str, "sentences": list}
        rows = [[field(each, key, kind, path, n) for key, kind in keys.items()] for n, each in enumerate(found)]
        entries = [
            (name, part, tuple(field(s, "raw", str, path, n).strip() for s in sentences))
            for n, (name, part, sentences) in enumerate(rows)
        ]
    else:
        path = find(folder, "results_20130124.token", FLICKR30K)
        if split != "all":
            raise CollectionError(f"{path.name} names no splits; {split!r} needs dataset_flickr30k.json.\n{FLICKR30K}")
        entries = [(name, "all", texts) for name, texts in _read_token_file(path).items()]
    images = find(folder, "flickr30k-images", FLICKR30K)
    records = [Captioned(name, images / name, texts, part) for name, part, texts in entries if split in ("all", part)]
    return _with_images(records, FLICKR30K, path, leave_out_missing)


def load_vqa_v2(folder: str | Path, split: str = "val2014", *, leave_out_missing: bool = False) -> list[Asked]:
    """Return one record per question with the answers of ten people, in the order of the question file.

    split: "val2014" or "train2014"; answers to the test questions are not published. Format:
    https://visualqa.org/download.html; Antol et al. (2015), arXiv:1505.00468; Goyal et al. (2017), arXiv:1612.00837.
    """
    folder = Path(folder).expanduser()
    _known("split", split, ("val2014", "train2014"))
    question_file = find(folder, f"v2_OpenEnded_mscoco_{split}_questions.json", VQA_V2)
    answer_file = find(folder, f"v2_mscoco_{split}_annotations.json", VQA_V2)
    images = find(folder, split, VQA_V2)
    answered = {}
    for n, each in enumerate(read_json(answer_file, ("annotations",))["annotations"]):
        given = tuple(field(a, "answer", str, answer_file, n) for a in field(each, "answers", list, answer_file, n))
        key = field(each, "question_id", int, answer_file, n)
        answered[key] = (given, field(each, "answer_type", str, answer_file, n))
    records = []
    for n, each in enumerate(read_json(question_file, ("questions",))["questions"]):
        key, image = (field(each, name, int, question_file, n) for name in ("question_id", "image_id"))
        if key not in answered:
            raise CollectionError(f"{answer_file} has no answers to question {key}; fetch both files of one split")
        path = images / f"COCO_{split}_{image:012d}.jpg"
        question = field(each, "question", str, question_file, n)
        records.append(Asked(str(image), path, key, question, *answered[key], split))
    return _with_images(records, VQA_V2, question_file, leave_out_missing)


def _read_token_file(path: Path) -> dict[str, tuple[str, ...]]:
    """Lines `image.jpg#0<tab>caption`: captions per image, in the order of their number."""
    captions = defaultdict(dict)
    for number, line in enumerate(read_lines(path), start=1):
        key, tab, caption = line.partition("\t")
        name, mark, place = key.rpartition("#")
        if not (tab and mark and place.isdigit()):
            raise CollectionError(
                f"{path}, line {number}: {line[:60]!r} is not `image.jpg#0`, a tab and a caption, as published; "
                "fetch the original file"
            )
        captions[name][int(place)] = caption.strip()
    return {name: tuple(texts[place] for place in sorted(texts)) for name, texts in captions.items()}


def _with_images(records: list[Record], offer: Offer, described_in: Path, leave_out: bool) -> list[Record]:
    if not records:
        raise CollectionError(f"{described_in} or its list describes no image of this split; fetch the files again")
    there = check_images([record.path for record in records], offer, described_in=described_in)
    missing = [record.path for record, present in zip(records, there, strict=True) if not present]
    if missing and not leave_out:
        raise CollectionError(
            f"{len(missing):,} of {len(records):,} records of {described_in.name} have no image, the first is "
            f"{missing[0]}. Fetch the images again, or pass leave_out_missing=True to work with those that are there"
        )
    return [record for record, present in zip(records, there, strict=True) if present]


def _known(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not published with captions or answers; try one of {', '.join(allowed)}")
