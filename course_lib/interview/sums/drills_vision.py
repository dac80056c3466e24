"""Problems about pictures: patches, tiles, merging, native resolution."""

from fractions import Fraction
from math import ceil
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.models import ENCODERS
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.tokens import merged_tokens, patches, tiled_tokens
from course_lib.interview.sums.units import number as n

CONTEXTS = (4096, 8192, 16384, 32768)
CANVASES = ((336, 672), (672, 336), (672, 672), (336, 1008), (1008, 336))
"""Height and width of the resolutions that LLaVA-NeXT fits a picture to, in pixels."""
SHUFFLED = (("InternVL 1.5", 448, 14, 2), ("SmolVLM-2.2B", 384, 14, 3), ("SmolVLM-500M", 512, 16, 4))
"""Model, side of a tile, side of a patch, side of the block that pixel shuffle joins."""


def draw_patches(rng: Random, step: int) -> Problem:
    """Tokens of a fixed-resolution encoder, and pictures that fit a context."""
    model = rng.choice(ENCODERS)
    patch = rng.choice([14, 16, 28, 32])
    side = patch * rng.randint(8, 32)
    if step > 1:
        side, patch = model.image, model.patch
    grid, count = side // patch, patches(side, patch)
    working = [
        line("Patches along a side, rounded down", "每边的切块数，向下取整", f"⌊{side} / {patch}⌋", grid),
        line("Square: two dimensions", "两个方向，取平方", times(grid, grid), count),
    ]
    border = ceil(Fraction(side, patch)) ** 2
    if step < 3:
        ask = (
            "A square image of {side} px is cut into patches of {patch} px. How many patch tokens are there?",
            "一张边长 {side} px 的正方形图片切成边长 {patch} px 的块，共有多少个图块 token？",
        )
        given: Given = {"side": side, "patch": patch}
        near = {"one side": grid, "class token": count + 1, "channels": 3 * count}
        if step == 2:
            given = {"model": model.name} | given
            near["border"] = border
            ask = tuple("{model}" + both for both in (": " + ask[0], "：" + ask[1]))
        return problem(ask, given, count, "tokens", working, near, tolerance=EXACT)
    context, text = rng.choice(CONTEXTS), rng.choice([100, 256, 500, 1000])
    room = context - text
    working.append(line("Images that fit", "能放下的图片数", f"⌊({n(context)} − {n(text)}) / {count}⌋", room // count))
    return problem(
        (
            "{model} ({side} px, patches of {patch} px) feeds all its patch tokens to a language model with a context"
            " of {context} tokens; {text} of them are kept for text. How many images fit?",
            "{model}（{side} px，切块 {patch} px）把全部图块 token 送入上下文为 {context} 个 token 的语言模型，其中"
            " {text} 个留给文本。最多放得下几张图片？",
        ),
        {"model": model.name, "side": side, "patch": patch, "context": context, "text": text},
        room // count,
        "images",
        working,
        {
            "text ignored": context // count,
            "rounded up": -(-room // count),
            "not rounded": Fraction(room, count),
            "one side": room // grid,
        },
        tolerance=EXACT,
    )


def draw_tiles(rng: Random, step: int) -> Problem:
    """Tokens of a tiled picture with its thumbnail, and tiles that fit."""
    if step == 3:
        return _tiles_that_fit(rng)
    rows, columns = rng.randint(2, 4), rng.randint(1, 4)
    per_tile = rng.choice([64, 100, 144, 256, 400, 576])
    working = []
    if step == 2:
        height, width = rng.choice(CANVASES)
        rows, columns, per_tile = height // 336, width // 336, patches(336, 14)
        working = [
            line("Tokens of one tile", "每块的 token 数", "(336 / 14)^2", per_tile),
            line("Tiles", "切片数", f"({height} / 336) × ({width} / 336)", rows * columns),
        ]
    count = tiled_tokens(rows, columns, per_tile)
    working.append(line("Tiles and thumbnail", "切片加缩略图", f"({rows} × {columns} + 1) × {per_tile}", count))
    near = {
        "thumbnail": rows * columns * per_tile,
        "thumbnail only": per_tile,
        "sides added": (rows + columns + 1) * per_tile,
    }
    if step == 1:
        return problem(
            (
                "An image is cut into {rows} × {columns} tiles; each tile and one thumbnail of the whole become {each}"
                " tokens. How many visual tokens in all?",
                "一张图片切成 {rows} × {columns} 块，每块以及一张全图缩略图各变成 {each} 个 token。视觉 token"
                " 共多少个？",
            ),
            {"rows": rows, "columns": columns, "each": per_tile},
            count,
            "tokens",
            working,
            near,
            tolerance=EXACT,
        )
    return problem(
        (
            "LLaVA-NeXT fits an image to {height} × {width} px and cuts it into tiles of {tile} px; every tile and a"
            " thumbnail pass through a ViT with patches of {patch} px. How many visual tokens, newline tokens aside?",
            "LLaVA-NeXT 把图片放到 {height} × {width} px 的画布上，切成边长 {tile} px 的块；每块和一张缩略图都过切块为"
            " {patch} px 的 ViT。不计换行 token，视觉 token 共多少个？",
        ),
        {"height": height, "width": width, "tile": 336, "patch": 14},
        count,
        "tokens",
        working,
        near,
        tolerance=EXACT,
    )


def _tiles_that_fit(rng: Random) -> Problem:
    per_tile, images, text = rng.choice([64, 256, 576]), rng.randint(2, 5), rng.choice([256, 500, 1000])
    context = rng.choice([each for each in CONTEXTS if each - text >= 2 * images * per_tile])
    whole = (context - text) // (images * per_tile)
    expression = f"⌊({n(context)} − {n(text)}) / ({images} × {per_tile})⌋"
    return problem(
        (
            "A context holds {context} tokens, {text} are kept for text. Each of {images} images is tiled, {each}"
            " tokens a tile, plus a thumbnail of the same cost. How many tiles may each image have, thumbnail not"
            " counted?",
            "上下文 {context} 个 token，其中 {text} 个留给文本。有 {images} 张图片，每张切片后每块 {each} 个 token，"
            "另加一张同样开销的缩略图。每张图片最多切几块（不计缩略图）？",
        ),
        {"context": context, "text": text, "images": images, "each": per_tile},
        whole - 1,
        "tiles",
        [
            line("Tile-sized pieces an image may use", "每张图片可用的份数", expression, whole),
            line("One of them is the thumbnail", "其中一份是缩略图", f"{whole} − 1", whole - 1),
        ],
        {
            "thumbnail": whole,
            "thumbnail added": whole + 1,
            "text ignored": context // (images * per_tile) - 1,
            "one image": (context - text) // per_tile - 1,
            "not rounded": Fraction(context - text, images * per_tile) - 1,
        },
        tolerance=EXACT,
    )


def draw_merge(rng: Random, step: int) -> Problem:
    """Tokens after blocks of patches are merged, and how many more images that lets in."""
    merge = rng.choice([2, 3, 4])
    side = merge * rng.randint(4, 12)
    model, image, patch = "", 0, 0
    if step > 1:
        model, image, patch, merge = rng.choice(SHUFFLED)
        side = image // patch
    whole, count = side * side, merged_tokens(side, side, merge)
    working = [] if step == 1 else [line("Patches along a side", "每边的切块数", f"⌊{image} / {patch}⌋", side)]
    working.append(line("A block becomes one token", "每个方块合成一个 token", f"{side}^2 / {merge}^2", count))
    if step == 1:
        ask = (
            "A grid of {side} × {same} patches is merged in blocks of {merge} × {merge_too}. How many tokens are left?",
            "{side} × {same} 的图块网格按 {merge} × {merge_too} 合并，剩多少个 token？",
        )
        given: Given = {"side": side, "same": side, "merge": merge, "merge_too": merge}
    else:
        ask = (
            "{model} reads a tile of {image} px with patches of {patch} px and joins blocks of {merge} × {merge_too}"
            " by pixel shuffle. How many tokens does a tile cost?",
            "{model} 用 {patch} px 的切块读取 {image} px 的图块，再用像素重排把 {merge} × {merge_too} 合成一个。"
            "一块要多少个 token？",
        )
        given = {"model": model, "image": image, "patch": patch, "merge": merge, "merge_too": merge}
    if step < 3:
        near = {"merge not squared": whole // merge, "not merged": whole, "merged twice": count // merge**2}
        return problem(ask, given, count, "tokens", working, near, tolerance=EXACT)
    context, text = rng.choice(CONTEXTS), rng.choice([100, 256, 500, 1000])
    room = context - text
    after, before = room // count, room // whole
    working += [
        line("Images with merging", "合并后放得下", f"⌊({n(context)} − {text}) / {count}⌋", after),
        line("Images without", "不合并放得下", f"⌊({n(context)} − {text}) / {whole}⌋", before),
        line("Gain", "多放", f"{after} − {before}", after - before),
    ]
    ask = (
        "{model}: tiles of {image} px, patches of {patch} px, pixel shuffle {merge} × {merge_too}. A context of"
        " {context} tokens keeps {text} for text. How many more one-tile images fit with the shuffle than without?",
        "{model}：图块 {image} px，切块 {patch} px，像素重排 {merge} × {merge_too}。上下文 {context} 个 token，{text}"
        " 个留给文本。每张图片一块时，有像素重排比没有多放得下几张？",
    )
    near = {
        "not the gain": after,
        "merge not squared": room // (whole // merge) - before,
        "text ignored": context // count - context // whole,
    }
    given |= {"context": context, "text": text}
    return problem(ask, given, after - before, "images", working, near, tolerance=EXACT)


FAMILIES = (
    Family(
        "patches",
        Text("Visual tokens: fixed patches", "视觉 token：固定切块"),
        "ViT arXiv:2010.11929; CLIP arXiv:2103.00020; SigLIP arXiv:2303.15343",
        draw_patches,
    ),
    Family(
        "tiles",
        Text("Visual tokens: any-resolution tiling", "视觉 token：任意分辨率切片"),
        "LLaVA-NeXT https://llava-vl.github.io/blog/2024-01-30-llava-next/; InternVL 1.5 arXiv:2404.16821",
        draw_tiles,
    ),
    Family(
        "merge",
        Text("Visual tokens: merging and pixel shuffle", "视觉 token：合并与像素重排"),
        "InternVL 1.5 arXiv:2404.16821; SmolVLM arXiv:2504.05299",
        draw_merge,
    ),
)
