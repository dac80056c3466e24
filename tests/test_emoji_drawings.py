"""How the emoji are made: joined by code, each name once, packed without loss of place; from these packages alone."""

import base64
import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from course_lib.data import emoji_drawings
from course_lib.data.catalogue import find
from course_lib.data.emoji import COLUMNS, cut_sheet
from course_lib.data.emoji_drawings import (
    Package,
    bare,
    compare,
    join_words,
    main,
    make_sheet,
    pack_sheet,
    read_package,
    svg_by_code,
    write_table,
)

GROUPS = {"groups": {"2": "component", "3": "animals-nature", "7": "objects"}, "subgroups": {"38": "cat", "70": "tool"}}


def entry(code, label, order, group=3, subgroup=38, tags=("b", "a")):
    found = {"hexcode": code, "label": label, "order": order, "group": group, "subgroup": subgroup, "tags": list(tags)}
    return {name: value for name, value in found.items() if value is not None}


ENGLISH = [
    entry("2702-FE0F", "scissors", 9, group=7, subgroup=70, tags=["tool"]),
    entry("1F431", "cat face", 2),
    entry("1F408", "cat", 3),
    entry("1F9BE", "bone", 5),
    entry("1F3FB", "light skin tone", 4, group=2),
    entry("1F1EB", "regional indicator F", 6, group=None),
]
CHINESE = [entry(each["hexcode"], f"名{each['label']}", 0, tags=["乙", "甲"]) for each in ENGLISH]
EVERY = {bare(each["hexcode"]): f"<{each['label']}>" for each in ENGLISH}


def test_what_every_artist_drew_is_joined_by_code_in_the_order_of_unicode():
    without_bone = {code: svg for code, svg in EVERY.items() if code != "1F9BE"}
    rows = join_words(ENGLISH, CHINESE, GROUPS, [EVERY, without_bone])
    assert [tuple(row.values()) for row in rows] == [
        ("1F431", "animals-nature", "cat", "cat face", "名cat face", "a|b", "乙|甲"),
        ("1F408", "animals-nature", "cat", "cat", "名cat", "a|b", "乙|甲"),
        ("2702-FE0F", "objects", "tool", "scissors", "名scissors", "tool", "乙|甲"),
    ]


def test_concepts_that_one_artist_drew_alike_are_all_left_out():
    alike = EVERY | {"1F431": "<cat>"}
    assert [row["en"] for row in join_words(ENGLISH, CHINESE, GROUPS, [EVERY, alike])] == ["bone", "scissors"]


def test_drawings_are_found_by_code_through_their_names_and_other_names():
    icons = {
        "width": 36,
        "height": 36,
        "icons": {"cat": {"body": "<a/>"}, "flag": {"body": "<b/>", "height": 30}},
        "aliases": {"pussycat": {"parent": "cat"}},
    }
    found = svg_by_code({"1f431": "pussycat", "2691-fe0f": "flag"}, icons)
    assert set(found) == {"1F431", "2691"}
    assert 'viewBox="0 0 36 36"' in found["1F431"] and found["1F431"].endswith("><a/></svg>")
    assert 'viewBox="0 0 36 30"' in found["2691"]


def test_a_table_is_read_back_as_it_was_written():
    rows = join_words(ENGLISH, CHINESE, GROUPS, [EVERY])
    header, *lines = write_table(rows).decode().splitlines()
    assert [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines] == rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"en": "cat"}, "'cat' stands twice in column 'en'"),
        ({"zh": "名cat"}, "'名cat' stands twice in column 'zh'"),
        ({"en_tags": ""}, "a field is empty"),
        ({"subgroup": "a\tb"}, "holds a tab"),
    ],
)
def test_a_table_that_would_mislead_is_not_written(change, words):
    first, *others = join_words(ENGLISH, CHINESE, GROUPS, [EVERY])
    with pytest.raises(ValueError, match=words):
        write_table([first | change, *others])


@pytest.mark.parametrize("count", [1, COLUMNS, 2 * COLUMNS + 3])
def test_a_sheet_is_cut_into_the_drawings_that_were_laid_on_it(count):
    drawings = np.random.default_rng(count).integers(0, 255, (count, 32, 32, 3), dtype=np.uint8)
    sheet = make_sheet(drawings)
    cut = cut_sheet(sheet)
    assert len(cut) % COLUMNS == 0 and (cut[:count] == drawings).all() and (cut[count:] == 255).all()
    last = count - 1
    corner = sheet[32 * (last // COLUMNS) :, 32 * (last % COLUMNS) :][:32, :32]
    assert (corner == drawings[last]).all()


def test_no_drawing_gives_no_sheet():
    with pytest.raises(ValueError, match="drawings is empty"):
        make_sheet(np.zeros((0, 32, 32, 3), np.uint8))


def test_few_colours_are_packed_without_loss_and_many_with_little():
    few = np.random.default_rng(0).choice(np.array([0, 90, 255], np.uint8), (64, 96, 3))
    assert (unpacked(pack_sheet(few)) == few).all()
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 256, 3)).copy()
    ramp[..., 1] = ramp[..., 1].T
    error = np.abs(unpacked(pack_sheet(ramp)).astype(int) - ramp)
    assert 0 < error.mean() < 8


def unpacked(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture
def package(tmp_path):
    """A package with one JSON file, as `npm pack` makes it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/meta/groups.json")
        text = json.dumps(GROUPS).encode()
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    digest = base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
    made = Package("@team/words", "1.2.3", digest)
    (tmp_path / made.file).write_bytes(content.getvalue())
    return made


def test_a_package_is_read_by_its_packed_name(package, tmp_path):
    assert package.file == "team-words-1.2.3.tgz"
    assert read_package(tmp_path, package, "meta/groups.json") == [GROUPS]


def test_another_package_is_refused_before_it_is_opened(package, tmp_path):
    with pytest.raises(ValueError, match=r"team-words-1.2.3.tgz has sha512 .*npm pack @team/words@1.2.3"):
        read_package(tmp_path, package._replace(integrity="other"), "meta/groups.json")


def test_a_missing_package_is_asked_for_by_name_and_version(tmp_path, capsys):
    assert main([str(tmp_path), "--check"]) == 1
    assert "npm pack @iconify-json/noto@1.2.9" in capsys.readouterr().err


def test_without_a_renderer_the_command_says_what_to_install(monkeypatch, tmp_path, capsys):
    def missing(folder):
        raise ModuleNotFoundError("No module named 'resvg_py'")

    monkeypatch.setattr(emoji_drawings, "make", missing)
    assert main([str(tmp_path), "--check"]) == 1
    assert "pip install resvg_py==0.5.0" in capsys.readouterr().err


def test_check_tells_other_pixels_from_other_bytes(monkeypatch, tmp_path, capsys):
    png, text = (find(f"emoji/{name}").read_bytes() for name in ("noto.png", "concepts.tsv"))
    again = io.BytesIO()
    Image.open(io.BytesIO(png)).save(again, "PNG", compress_level=1)
    turned = io.BytesIO()
    Image.open(io.BytesIO(png)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(turned, "PNG")
    assert compare("noto.png", png) == (True, f"noto.png: the same {len(png):,} bytes")
    assert compare("noto.png", again.getvalue()) == (True, "noto.png: other bytes, the same pixels")
    assert compare("noto.png", turned.getvalue()) == (False, "noto.png: other bytes, other pixels")
    assert compare("concepts.tsv", text[:-1])[0] is False
    monkeypatch.setattr(emoji_drawings, "make", lambda folder: {"concepts.tsv": text, "noto.png": turned.getvalue()})
    assert main([str(tmp_path), "--check"]) == 1
    assert "concepts.tsv: the same" in capsys.readouterr().out


def test_an_svg_is_drawn_on_white():
    pytest.importorskip("resvg_py", reason="only the maker of the emoji needs resvg")
    half = '<path fill="#f00" d="M0 0h1v2h-1z"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2" width="128" height="128">{half}</svg>'
    drawing = emoji_drawings.render(svg)
    assert drawing.shape == (32, 32, 3) and (drawing[:, :12] == [255, 0, 0]).all() and (drawing[:, 20:] == 255).all()
