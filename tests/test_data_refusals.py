"""What would give a wrong figure is refused, in the words of course_lib/refuse.py: shapes, lengths, ranges, NaN."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.data import duplicates, instructions, miniature, packing, records, splitting, symbols, sync
from course_lib.data.alterations import altered
from course_lib.data.mel import log_mel, mel_filters
from course_lib.data.scaling import Scaler, fit_scaler
from course_lib.data.scene_language import ENGLISH
from course_lib.data.streaming import RunningMoments
from course_lib.data.vocabulary import Vocabulary
from course_lib.data.voices import encode_mu_law, read_clips

DATA = Path(__file__).resolve().parents[1] / "course_lib" / "data"
NAN = float("nan")
ROWS = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
HASHES = ROWS > 0.5
STREAM = torch.rand(20, generator=torch.Generator().manual_seed(1))
SPOILT = torch.where(torch.arange(20) == 4, NAN, STREAM)
CLAP = torch.arange(20) % 5 == 0
SIGNATURE = torch.arange(12)
SCALER = Scaler(torch.zeros(3), torch.ones(3))
ASKED = records.Asked("1", Path("1.jpg"), 1, "What?", ("red",) * 10, "other", "train")

REFUSED = {
    "agreement of other lengths": (
        lambda: duplicates.agreement(SIGNATURE, SIGNATURE[:1]),
        r"other has shape \(1,\), but agreement takes \(K,\) with K = 12 as in one",
    ),
    "agreement of nothing": (lambda: duplicates.agreement(SIGNATURE[:0], SIGNATURE[:0]), "one is empty"),
    "jaccard of nothing": (lambda: duplicates.jaccard(frozenset(), frozenset()), "union is empty"),
    "minhash of no texts": (lambda: duplicates.minhash([]), "sets is empty"),
    "minhash of an empty text": (lambda: duplicates.minhash([frozenset("a"), frozenset()]), r"sets\[1\] is empty"),
    "minhash without hashes": (lambda: duplicates.minhash([frozenset("a")], hashes=0), "hashes=0"),
    "no bands": (lambda: duplicates.banded_pairs(SIGNATURE[None], bands=0), "0 bands do not divide 12"),
    "bands below none": (lambda: duplicates.banded_pairs(SIGNATURE[None], bands=-4), "-4 bands do not divide 12"),
    "similarity above 1": (lambda: duplicates.chance_to_meet(1.5, bands=4, rows=3), "similarity is 1.5"),
    "similarity that is none": (lambda: duplicates.chance_to_meet(torch.tensor([NAN]), bands=4, rows=3), "similarity"),
    "a picture with NaN": (lambda: duplicates.perceptual_hash(torch.full((3, 40, 40), NAN)), "values of image"),
    "a picture with its colours last": (
        lambda: duplicates.perceptual_hash(torch.rand(40, 40, 3)),
        r"image has shape \(40, 40, 3\).*try image.movedim",
    ),
    "a pair with the item before the first": (lambda: duplicates.linked_groups(3, [(0, -1)]), r"pair \(0, -1\)"),
    "a pair with an item too many": (lambda: duplicates.linked_groups(3, [(0, 3)]), r"among 3 items, 0 to 2"),
    "more bits than there are": (lambda: duplicates.groups_by_hash(torch.rand(2, 3, 40, 40), bits=65), "bits is 65"),
    "a sound with NaN": (lambda: log_mel(torch.full((8000,), NAN)), "8000 of 8000 values of waveform"),
    "a floor without logarithm": (lambda: log_mel(torch.rand(8000), floor=0.0), "floor 0.0 has no logarithm"),
    "no bands of sound": (lambda: mel_filters(256, 8000, bands=0, low_hz=60.0, high_hz=4000.0), "bands=0"),
    "one feature for three": (lambda: SCALER.apply(ROWS[:, :1]), "1 features came; this scaler was fitted on 3"),
    "one feature for three, back": (lambda: SCALER.invert(ROWS[:, :1]), "1 features came"),
    "rows without an axis": (lambda: fit_scaler(ROWS[0], "z-score"), r"values has shape \(3,\)"),
    "moments of NaN": (lambda: RunningMoments.of(torch.full((2, 3), NAN)), "6 of 6 values of values"),
    "moments of one row without its axis": (lambda: RunningMoments.of(ROWS[0]), r"values has shape \(3,\)"),
    "a correction below none": (lambda: RunningMoments.of(ROWS).variance(correction=-1), "correction is -1"),
    "a lag between NaN": (lambda: sync.find_offset(SPOILT, STREAM, longest=3), r"1 of 20 values of one is .* at \[4\]"),
    "a lag between other shapes": (
        lambda: sync.find_offset(STREAM[None], STREAM, longest=3),
        r"one has shape \(1, 20\)",
    ),
    "a highest score that is NaN": (lambda: sync.clap_f1(SPOILT, CLAP), "1 of 20 values of score"),
    "fewer claps than scores": (lambda: sync.clap_f1(STREAM, CLAP[:10]), r"clap has shape \(10,\)"),
    "a share above 1": (lambda: sync.record_claps(50, share=1.2, seed=0), "share is 1.2"),
    "noise below none": (lambda: sync.record_claps(50, noise=-0.1, seed=0), "noise is -0.1"),
    "no frames": (lambda: sync.record_claps(0, seed=0), "0 frames"),
    "noise that is NaN": (lambda: symbols.make_symbol_pairs(4, rule="xor", seed=0, noise=NAN), "noise is nan"),
    "no pairs": (lambda: symbols.make_matching_pairs(0, things=3, seed=0), "count is 0"),
    "shares with NaN": (lambda: splitting.split_by_group([1, 2, 3], (0.5, NAN), seed=0), "must be positive"),
    "shares with NaN first": (lambda: splitting.part_by_hash("a", (NAN, 1.0)), "must be positive"),
    "groups of two columns": (
        lambda: splitting.split_by_group(torch.ones(4, 2), (0.5, 0.5), seed=0),
        r"shape \(4, 2\)",
    ),
    "groups without a name": (lambda: splitting.split_by_group([1.0, NAN], (0.5, 0.5), seed=0), "row 1 has NaN"),
    "letters for groups": (lambda: splitting.shared_groups("abc", torch.tensor([0])), "groups is one string"),
    "a row before the first": (
        lambda: splitting.shared_groups(list("abc"), torch.tensor([0]), torch.tensor([-1])),
        r"1 of 1 values of parts\[1\] is no number within \[0, 2\], at \[0\]",
    ),
    "a document below no length": (lambda: packing.first_fit([4, -3], capacity=8), "document 1 has -3 tokens"),
    "more tokens than places": (lambda: packing.full_share([4, 5], 1, 8), "9 tokens do not fit in 1 sequences of 8"),
    "no places": (lambda: packing.full_share([], 0, 8), "0 places"),
    "an id behind the last": (lambda: ENGLISH.decode([1, 999, 2]), "id 999 is no token"),
    "a label that is not learnt": (lambda: ENGLISH.decode(torch.tensor([1, -100])), "id -100 is no token"),
    "letters for texts": (lambda: Vocabulary(("a",)).encode_batch("a a"), r"texts is one string.*try \[texts\]"),
    "letters for open words": (lambda: records.OpenWords.of("a dog", most=3), r"texts is one string.*try \[texts\]"),
    "no open words": (lambda: records.OpenWords.of(["a dog"], most=0), "most is 0"),
    "all but the rarest answer": (lambda: records.common_answers([ASKED], most=-1), "most is -1"),
    "an answer in two classes": (lambda: records.soft_target(ASKED, ("red", "red")), "listed twice"),
    "letters for answers": (lambda: records.soft_target(ASKED, "red"), "answers is one string"),
    "a Dataset without pixels": (lambda: records.PictureDataset([ASKED], size=0, encode=lambda each: {}), "size is 0"),
    "samples that are NaN": (lambda: encode_mu_law(np.array([0.5, NAN])), "1 of 2 samples are NaN"),
    "the clip before the first": (lambda: read_clips().samples(-1), r"clip is -1; give a number within \[0, 239\]"),
    "fewer answers than prompts": (
        lambda: instructions.encode_examples(["<image> describe."] * 2, ["red square"]),
        "prompts has 2, answers has 1",
    ),
    "no prompts": (lambda: instructions.encode_prompts([]), "prompts is empty"),
    "questions below none": (lambda: instructions.make_instructions(2, seed=0, questions=-1), "questions is -1"),
    "a COCO of nothing": (lambda: miniature.write_coco("nowhere", []), "photos is empty"),
    "a picture of one pixel": (
        lambda: altered(torch.zeros(1, 9, 3, dtype=torch.uint8)),
        "1 x 9 pixels cannot be halved",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_give_a_wrong_figure_is_refused(what):
    call, words = REFUSED[what]
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def arrays(function):
    """Names of the parameters that are annotated with a tensor or an array."""
    every = [*function.args.args, *function.args.kwonlyargs, *filter(None, [function.args.vararg])]
    return [a.arg for a in every if a.annotation and "Tensor," in ast.unparse(a.annotation) + ","]


def test_every_public_function_that_takes_tensors_looks_at_their_shapes():
    """Live too, when nobody has turned the signatures into checks."""
    unchecked, checked = [], 0
    for path in sorted(DATA.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
        for function in (each for body in bodies for each in body if isinstance(each, ast.FunctionDef)):
            if function.name.startswith("_") or not arrays(function):
                continue
            checked += 1
            if not any(ast.unparse(decorator) == "refuse.misfit" for decorator in function.decorator_list):
                unchecked.append(f"{path.name}: {function.name}")
    assert unchecked == [] and checked > 12


def test_what_is_at_the_edge_passes():
    assert duplicates.chance_to_meet(0.0, bands=1, rows=1) == 0 and duplicates.chance_to_meet(1.0, bands=1, rows=1) == 1
    assert packing.full_share([8], 1, 8) == 1 and packing.full_share([], 1, 8) == 0
    assert packing.first_fit([1], capacity=1) == [[0]]
    assert len(duplicates.hamming(HASHES)) == 6
    assert math.isclose(sync.clap_f1(CLAP.float(), CLAP), 1.0)
    assert splitting.shared_groups(
        [1, 1], torch.tensor([0]), torch.tensor([1]), torch.tensor([], dtype=torch.long)
    ) == {1}
