"""How `datasets/emoji/` was made: drawings of three artists joined with names and tags in two languages.

Only its maker needs the four packages below and resvg; learners do not. Nothing is downloaded here. In an empty folder:

    npm pack @iconify-json/noto@1.2.9 @iconify-json/twemoji@1.2.5 @iconify-json/fluent-emoji-flat@1.2.6
    npm pack emojibase-data@17.0.0
    pip install resvg_py==0.5.0
    python -m course_lib.data.emoji_drawings FOLDER --check      make the files in memory and compare their sha256
    python -m course_lib.data.emoji_drawings FOLDER --write      make them and enter them in the catalogue

A drawing is rendered at 128 pixels, laid on white and scaled down to 32; the drawings of one artist share a sheet and
a palette of 256 colours. The packages are checked against the sha512 that npm publishes. The same resvg gives the same
pixels, and the same Pillow packs them into the same bytes; `--check` tells the two apart.
"""

import argparse
import base64
import hashlib
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from course_lib import refuse
from course_lib.data.catalogue import DATASETS, find, record
from course_lib.data.emoji import COLUMNS, GROUPS, SIZE


class Package(NamedTuple):
    """One published package of npm."""

    name: str
    version: str
    integrity: str
    """sha512 of the packed file, base64, as npm publishes it."""

    @property
    def file(self) -> str:
        """What `npm pack` calls it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


WORDS = Package(
    "emojibase-data",
    "17.0.0",
    "Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
)
DRAWINGS = {
    "noto": Package(
        "@iconify-json/noto",
        "1.2.9",
        "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    ),
    "twemoji": Package(
        "@iconify-json/twemoji",
        "1.2.5",
        "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    ),
    "fluent": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    ),
}
RENDERER = "resvg_py==0.5.0"
RENDERED = 128  # pixels: four times the size that is kept, so that thin lines become pale and do not vanish

_FROM = "From {0.name} {0.version} (npm), rendered at 32 pixels with 256 colours"
LICENCES = {
    "noto.png": "Apache-2.0 (https://www.apache.org/licenses/LICENSE-2.0). By Google, Noto Emoji, "
    f"https://github.com/googlefonts/noto-emoji. {_FROM.format(DRAWINGS['noto'])}",
    "twemoji.png": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). By Twitter, Inc and other contributors, "
    f"Twemoji, https://github.com/jdecked/twemoji. {_FROM.format(DRAWINGS['twemoji'])}",
    "fluent.png": "MIT (datasets/emoji/notices.txt). By Microsoft Corporation, Fluent Emoji (flat), "
    f"https://github.com/microsoft/fluentui-emoji. {_FROM.format(DRAWINGS['fluent'])}",
    "concepts.tsv": "Unicode-3.0 and MIT (datasets/emoji/notices.txt). Names and tags by Unicode, Inc, CLDR, "
    f"https://cldr.unicode.org; collected by Miles Johnson in {WORDS.name} {WORDS.version} (npm)",
}
"""By file: licence, whom to credit, source."""
COLUMN_NAMES = ("code", "group", "subgroup", "en", "zh", "en_tags", "zh_tags")


def read_package(folder: Path, package: Package, *members: str) -> list[Any]:
    """Return the JSON files `members` of a packed package; ValueError where it is missing or is another one."""
    path = folder / package.file
    wanted = f"`npm pack {package.name}@{package.version}` in {folder}"
    if not path.is_file():
        raise ValueError(f"{package.file} is missing; get it with {wanted}")
    content = path.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != package.integrity:
        raise ValueError(f"{package.file} has sha512 {found}, not {package.integrity}; get it again with {wanted}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [json.load(archive.extractfile(f"package/{member}")) for member in members]


def svg_by_code(characters: Mapping[str, str], icons: Mapping[str, Any]) -> dict[str, str]:
    """Return the drawings of one artist by code; characters: code to the name of its drawing."""
    bodies = {name: icon["body"] for name, icon in icons["icons"].items()}
    bodies |= {name: bodies[alias["parent"]] for name, alias in icons.get("aliases", {}).items() if len(alias) == 1}
    sizes = {name: icon.get("height", icons["height"]) for name, icon in icons["icons"].items()}
    return {
        bare(code): (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {icons["width"]} {sizes.get(name, icons["height"])}" width="{RENDERED}" '
            f'height="{RENDERED}">{bodies[name]}</svg>'
        )
        for code, name in characters.items()
    }


def bare(code: str) -> str:
    """A code without the mark "show it in colour" (FE0F), which some lists write and others leave out."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def join_words(
    english: Sequence[Mapping[str, Any]],
    chinese: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Mapping[str, str]],
    drawn: Sequence[Mapping[str, str]],
) -> list[dict[str, str]]:
    """Return the rows of concepts.tsv: concepts with a group whom every artist has drawn, in Unicode's order.

    groups: as in emojibase-data, the names of "groups" and "subgroups" by their number.
    drawn: drawings by code, artist by artist. A concept is left out where an artist has the same drawing for another.
    """
    translated = {entry["hexcode"]: entry for entry in chinese}
    known = [entry for entry in english if groups["groups"].get(str(entry.get("group"))) in GROUPS]
    known = [entry for entry in known if all(bare(entry["hexcode"]) in drawings for drawings in drawn)]
    used = [Counter(drawings[bare(entry["hexcode"])] for entry in known) for drawings in drawn]
    rows = []
    for entry in sorted(known, key=lambda entry: entry["order"]):
        code, other = entry["hexcode"], translated[entry["hexcode"]]
        if all(count[drawings[bare(code)]] == 1 for count, drawings in zip(used, drawn, strict=True)):
            group, subgroup = (groups[f"{kind}s"][str(entry[kind])] for kind in ("group", "subgroup"))
            tags = ["|".join(sorted(each["tags"])) for each in (entry, other)]
            values = (code, group, subgroup, entry["label"], other["label"], *tags)
            rows.append(dict(zip(COLUMN_NAMES, values, strict=True)))
    return rows


def write_table(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Return concepts.tsv; ValueError for a tab or an empty field, and for a code or name that two concepts share."""
    for column in ("code", "en", "zh"):
        twice = [value for value, count in Counter(row[column] for row in rows).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice in column {column!r}; a name must tell its concept")
    lines = [COLUMN_NAMES, *([row[name] for name in COLUMN_NAMES] for row in rows)]
    if any(value == "" or "\t" in value or "\n" in value for line in lines for value in line):
        raise ValueError("a field is empty or holds a tab or a line end; such a table cannot be read back")
    return "".join("\t".join(line) + "\n" for line in lines).encode()


def render(svg: str) -> UInt8[np.ndarray, "size size 3"]:
    """Draw one SVG on white at `SIZE` pixels."""
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)  # no drawing holds text
    with Image.open(io.BytesIO(bytes(png))) as large:
        drawing = large.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("RGB")
    return np.asarray(on_white.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


@refuse.misfit
def make_sheet(drawings: UInt8[np.ndarray, "B 32 32 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """Lay drawings row by row on a white sheet, `COLUMNS` in a row; `emoji.cut_sheet` undoes it."""
    refuse.empty(drawings=drawings)
    blank = np.full((-len(drawings) % COLUMNS, SIZE, SIZE, 3), 255, dtype=np.uint8)
    rows = np.concatenate([drawings, blank]).reshape(-1, COLUMNS, SIZE, SIZE, 3)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, COLUMNS * SIZE, 3)


@refuse.misfit
def pack_sheet(sheet: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Return a PNG with the 256 colours that fit the sheet best; a third of the bytes of one with all its colours."""
    few = Image.fromarray(sheet).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


def make(folder: Path) -> dict[str, bytes]:
    """Return every file of `datasets/emoji/` but notices.txt, made from the packages in `folder`."""
    drawn = {
        artist: svg_by_code(*read_package(folder, package, "chars.json", "icons.json"))
        for artist, package in DRAWINGS.items()
    }
    words = read_package(folder, WORDS, "en/data.json", "zh/data.json", "meta/groups.json")
    rows = join_words(*words, list(drawn.values()))
    files = {"concepts.tsv": write_table(rows)}
    for artist, svgs in drawn.items():
        drawings = np.stack([render(svgs[bare(row["code"])]) for row in rows])
        files[f"{artist}.png"] = pack_sheet(make_sheet(drawings))
    return files


def compare(name: str, made: bytes) -> tuple[bool, str]:
    """Return whether a file made now has the content of the committed one, and in which words to say so."""
    committed = find(f"emoji/{name}").read_bytes()
    if made == committed:
        return True, f"{name}: the same {len(made):,} bytes"
    if not name.endswith(".png"):
        return False, f"{name}: other content, {len(made):,} bytes for {len(committed):,}"
    with Image.open(io.BytesIO(made)) as one, Image.open(io.BytesIO(committed)) as other:
        same = one.size == other.size and one.convert("RGB").tobytes() == other.convert("RGB").tobytes()
    return same, f"{name}: other bytes, {'the same' if same else 'other'} pixels"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; exit status 1 when a file made now differs or cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.data.emoji_drawings", description="Make the emoji.")
    parser.add_argument("folder", type=Path, help="where the four files lie that npm pack made")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="make the files in memory and compare")
    action.add_argument("--write", action="store_true", help="make the files and enter them in the catalogue")
    options = parser.parse_args(arguments)
    try:
        files = make(options.folder)
    except ImportError as error:
        print(f"{error}; the drawings are rendered by resvg: pip install {RENDERER}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        results = [compare(name, made) for name, made in files.items()]
        print("\n".join(words for _, words in results))
        return 0 if all(same for same, _ in results) else 1
    for name, made in files.items():
        (DATASETS / "emoji" / name).write_bytes(made)
        rows = files["concepts.tsv"].count(b"\n") - 1
        made_by = f"python -m course_lib.data.emoji_drawings FOLDER --write, with {RENDERER} and Pillow 13.0.0"
        record(f"emoji/{name}", rows=rows, licence=LICENCES[name], made_by=made_by)
        print(f"{name}: {rows:,} rows, {len(made):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
