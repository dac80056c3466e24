"""Flickr8k and Flickr30k as published, and Flickr30k as it is often passed on, read from a folder of the learner.

As in `collections`, nothing is downloaded, and the `group` of a record is its image.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

from course_lib.data.annotation_text import field, read_json, read_lines, said
from course_lib.data.annotations import CollectionError, Offer, find, known
from course_lib.data.collection_images import image_path, with_images
from course_lib.data.records import Captioned

_RESEARCH_ONLY = "for non-commercial research and education; images under Flickr's terms of use"

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
    layout=("flickr30k-images/ or flickr30k_images/", "results_20130124.token, results.csv or dataset_flickr30k.json"),
)
_FLICKR8K_IMAGES = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images")  # the published archive is misspelt
_FLICKR8K_LISTS = {part: f"Flickr_8k.{part}Images.txt" for part in ("train", "dev", "test")}
_FLICKR30K_IMAGES = ("flickr30k-images", "flickr30k_images")
_FLICKR30K_TEXTS = ("dataset_flickr30k.json", "results_20130124.token", "results.csv")
_TOKEN_LINE = re.compile(r"(?P<name>[^\t]+)#(?P<place>[0-9]{1,4})\t(?P<caption>.*)", re.DOTALL)
_CSV_LINE = re.compile(r"(?P<name>[^|]+)\| *(?P<place>[0-9]{1,4})(?: *\|| {2,})(?P<caption>.*)", re.DOTALL)
"""`image.jpg| 0| caption`; in the copy that is passed on most, 2199200615.jpg lacks the second bar: `| 4   A dog`."""
Entry = tuple[str, str, tuple[str, ...]]  # image, split, captions


def load_flickr8k(folder: str | Path, split: str = "train", *, leave_out_missing: bool = False) -> list[Captioned]:
    """Return the 6,000 "train", 1,000 "dev" or 1,000 "test" images with five captions each, in the order of the list.

    The caption file describes 92 images more than the three lists name (one of them ends in `.jpg.1` and does not
    exist); they are in no split. leave_out_missing: as for `collections.load_coco_captions`. Format: Flickr8k's readme;
    Hodosh et al. (2013), doi:10.1613/jair.3994.
    """
    folder = Path(folder).expanduser()
    known("split", split, tuple(_FLICKR8K_LISTS))
    path = find(folder, "Flickr8k.token.txt", FLICKR8K)
    list_file = find(folder, _FLICKR8K_LISTS[split], FLICKR8K)
    listed = [line.strip() for _, line in read_lines(list_file)]
    _check_once(listed, list_file)
    images = _image_folder(folder, _FLICKR8K_IMAGES, FLICKR8K)
    captions = _read_captions(path, _TOKEN_LINE, "`image.jpg#0`, a tab and a caption")
    for name in listed:
        if name not in captions:
            raise CollectionError(f"{path} has no caption for {name}, which {list_file.name} lists; fetch both")
    records = [Captioned(name, image_path(images, name, list_file), captions[name], split) for name in listed]
    return with_images(records, FLICKR8K, described_in=path, folder=folder, images=images, leave_out=leave_out_missing)


def load_flickr30k(folder: str | Path, split: str = "all", *, leave_out_missing: bool = False) -> list[Captioned]:
    """Return the images with five captions each. Young et al. (2014), doi:10.1162/tacl_a_00166.

    split: "all", or "train", "val", "test" of Karpathy and Fei-Fei (2015), arXiv:1412.2306, which need
    dataset_flickr30k.json; the captions alone, results_20130124.token or results.csv, name no split. Of several files
    the JSON is read first, then the token file. leave_out_missing: as for `collections.load_coco_captions`.

    results.csv with `|` between its fields is how the captions are mostly passed on. One line of it, about
    2199200615.jpg, lacks its second bar; that line is read as it was meant.
    """
    folder = Path(folder).expanduser()
    known("split", split, ("all", "train", "val", "test"))
    path = _description(folder)
    if path.suffix == ".json":
        entries = _read_karpathy(path)
    elif split != "all":
        raise CollectionError(f"{path.name} names no splits; {split!r} needs dataset_flickr30k.json.\n{FLICKR30K}")
    elif path.suffix == ".csv":
        read = _read_captions(path, _CSV_LINE, "`image.jpg| 0| caption`", header="image_name")
        entries = [(name, "all", texts) for name, texts in read.items()]
    else:
        read = _read_captions(path, _TOKEN_LINE, "`image.jpg#0`, a tab and a caption")
        entries = [(name, "all", texts) for name, texts in read.items()]
    images = _image_folder(folder, _FLICKR30K_IMAGES, FLICKR30K)
    chosen = [(name, part, texts) for name, part, texts in entries if split in ("all", part)]
    records = [Captioned(name, image_path(images, name, path), texts, part) for name, part, texts in chosen]
    return with_images(records, FLICKR30K, described_in=path, folder=folder, images=images, leave_out=leave_out_missing)


def _description(folder: Path) -> Path:
    """The first of the files that describe Flickr30k; where none is there `find` says where one may be."""
    here = [name for name in _FLICKR30K_TEXTS if (folder / name).exists()]
    near = [name for name in _FLICKR30K_TEXTS if any(folder.glob(f"*/{name}"))]
    return find(folder, [*here, *near, "results_20130124.token"][0], FLICKR30K)


def _image_folder(folder: Path, names: tuple[str, ...], offer: Offer) -> Path:
    """The folder of that name, or the named folder itself where the images lie beside their captions."""
    there = [name for name in names if (folder / name).is_dir()]
    if not there and next(folder.glob("*.jpg"), None) is not None:
        return folder
    return find(folder, [*there, names[0]][0], offer)


def _read_captions(path: Path, form: re.Pattern, words: str, header: str | None = None) -> dict[str, tuple[str, ...]]:
    """Captions per image, in the order of their numbers.

    form: of a line, with groups `name`, `place` and `caption`. header: how a first line begins that is no caption.
    """
    captions = defaultdict(dict)
    for number, line in read_lines(path):
        found = form.fullmatch(line)
        if found is None and number == 1 and header is not None and line.startswith(header):
            continue
        if found is None:
            raise CollectionError(
                f"{path}, line {number}: {line[:60]!r} is not {words}, as published; fetch the original file"
            )
        name, place = found["name"].strip(), int(found["place"])
        if place in captions[name]:
            raise CollectionError(
                f"{path}, line {number}: {name} has a caption number {place} already; fetch the original file"
            )
        captions[name][place] = found["caption"]
    return said({name: [texts[place] for place in sorted(texts)] for name, texts in captions.items()}, path)


def _read_karpathy(path: Path) -> list[Entry]:
    found = read_json(path, ("images",))["images"]
    parts, captions = {}, {}
    names = [field(each, "filename", str, path, n) for n, each in enumerate(found)]
    _check_once(names, path)
    for n, (name, each) in enumerate(zip(names, found, strict=True)):
        parts[name] = field(each, "split", str, path, n)
        captions[name] = [field(s, "raw", str, path, n) for s in field(each, "sentences", list, path, n)]
    return [(name, parts[name], texts) for name, texts in said(captions, path).items()]


def _check_once(names: list[str], path: Path) -> None:
    """An image that is listed twice would count twice, or stand on both sides of a split."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise CollectionError(f"{path} lists {len(twice):,} images twice, the first is {twice[0]}; fetch it again")
