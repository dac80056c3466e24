import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib import cli_train
from course_lib.data.instructions import IMAGE_ID, KINDS, WORDS, InstructionStream, make_instructions
from course_lib.models.vlm import NextWord
from course_lib.training import throughput
from course_lib.training.throughput import Throughput
from course_lib.training.vlm import instruction_loss, load_vlm, new_vlm
from course_lib.training.vlm_recipe import SIZES, flops, said_exactly, vlm
from course_lib.training.vlm_scores import say

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("stage", ["projector", "decoder", "all"])
def test_one_pass_finds_the_answers_that_generation_gets_right(stage):
    data = make_instructions(120, seed=8, kinds=KINDS)
    model = load_vlm(stage)
    with torch.no_grad():
        found = said_exactly(model, data[:3]).tolist()
    generated = [
        text == answer for text, answer in zip(say(model, data.images, data.prompts), data.answers, strict=True)
    ]
    assert found == generated and 0 < sum(found) < len(found)


def test_a_row_of_the_stream_is_always_the_same_and_never_another_seed_s():
    stream, same, other = (InstructionStream(seed=seed, size=32, objects=(1, 3)) for seed in (5, 5, 6))
    for row in (0, 7, 2**20 - 1):
        assert all(torch.equal(a, b) for a, b in zip(stream[row], same[row], strict=True))
        assert not torch.equal(stream[row][0], other[row][0])
    assert len({tuple(stream[row][0].flatten().tolist()) for row in range(40)}) == 40


def test_the_stream_asks_for_captions_and_questions_in_turn():
    stream = InstructionStream(size=16, objects=(1, 2))
    describe = WORDS.tokens.index("describe")
    for row in range(20):
        image, ids, labels = stream[row]
        assert image.shape == (3, 16, 16) and ids.shape == labels.shape == (16,)
        assert ids[1] == IMAGE_ID and (ids[2] == describe) == (row % 2 == 0)
    with pytest.raises(IndexError, match="row 1048576 is outside"):
        stream[2**20]
    with pytest.raises(ValueError, match="seed 5000 does not fit; a stream takes 0 to 4094"):
        InstructionStream(seed=5000)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_operations_are_those_that_torch_counts(size):
    """Torch counts matrix products and convolutions of a forward pass; backward takes twice as many."""
    sizes = SIZES[size]
    model = new_vlm(0, **sizes.model)
    data = make_instructions(3, seed=1, objects=sizes.objects, size=sizes.model["size"], length=24)
    # plain products: the counter does not know the CPU's fused attention
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(*data[:2])
    assert flops(model, data[:3]) == 3 * counter.get_total_flops()


def test_throughput_counts_what_passes_between_its_marks(monkeypatch):
    clock = iter([10.0, 14.0, 20.0, 21.0])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(throughput, "peak_flops", lambda device: 1000.0)
    loss = Throughput(lambda model, batch: batch[0].sum(), lambda batch: len(batch[0]), lambda batch: 100.0, skip=2)
    assert "tokens_per_s" not in loss.figures()
    for size in (50, 60, 7, 5, 8):  # the first two warm up
        loss(torch.nn.Identity(), (torch.ones(size),))
    found = loss.figures()
    assert found["tokens_per_s"] == 20 / 4 and found["mfu"] == 300 / 4 / 1000 and found["memory_mib"] > 50
    for size in (50, 60, 9):
        loss(torch.nn.Identity(), (torch.ones(size),))
    assert loss.figures()["tokens_per_s"] == 9


def test_the_streams_of_seeds_begin_above_those_of_drawn_scenes():
    """Held-out scenes are drawn from seeds below 2^20; no stream, the first included, may use one of those."""
    for seed in (0, 3):
        image, ids, _ = InstructionStream(seed=seed, size=16, objects=(1, 2))[5]
        above = make_instructions(1, seed=(1 + seed) * 2**20 + 5, kinds=KINDS[1:])
        assert torch.equal(image, above.images[0]) and torch.equal(ids[: above.ids.shape[1]], above.ids[0])


def test_warming_up_takes_no_time_and_every_process_adds_its_peak(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(throughput, "peak_flops", lambda device: 1000.0)
    monkeypatch.setattr(throughput, "world", lambda: SimpleNamespace(size=4))

    def slow_at_first(model, batch):
        clock[0] += 1000.0 if len(batch[0]) == 1 else 2.0
        return batch[0].sum()

    loss = Throughput(slow_at_first, lambda batch: len(batch[0]), lambda batch: 100.0, skip=2)
    for size in (1, 1, 30, 50):
        loss(torch.nn.Identity(), (torch.ones(size),))
    found = loss.figures()
    assert found["tokens_per_s"] == 80 / 4 and found["mfu"] == 200 / 4 / (1000 * 4)


@pytest.mark.parametrize(
    "name, peak",
    [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA GH200 480GB", 989e12)]
    + [("NVIDIA A100-SXM4-40GB", 312e12), ("Tesla T4", 65e12), ("NVIDIA L4", 121e12)]
    + [("NVIDIA L40S", None), ("NVIDIA T400 4GB", None)],
)
def test_a_peak_belongs_to_the_card_of_that_name(monkeypatch, name, peak):
    monkeypatch.setattr(throughput.torch.cuda, "get_device_name", lambda device: name)
    assert throughput.peak_flops(torch.device("cuda")) == peak
    assert throughput.peak_flops(torch.device("cpu")) is None


def test_the_image_is_not_counted_as_a_word_that_could_be_said():
    """Generation never says <image>, so a high score of it must not make an exact answer wrong."""
    data = make_instructions(2, seed=3)
    logits = torch.nn.functional.one_hot(data.ids.roll(-1, dims=1), len(WORDS)).float()
    logits[..., IMAGE_ID] = 9.0
    wrong = logits.clone()
    wrong[1, 5, 3] = 5.0  # row 5 says the word in column 6
    for scores, expected in ((logits, [True, True]), (wrong, [True, False])):
        assert said_exactly(Fixed(scores), data[:3]).tolist() == expected


class Fixed(torch.nn.Module):
    """Gives these scores, one row a word."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, images, ids):
        return NextWord(self.scores, torch.arange(ids.shape[1]).expand(len(ids), -1))


def test_the_command_trains_reports_and_resumes(capsys, tmp_path):
    words = ["train", "vlm", "--size", "tiny", "--device", "cpu", "--batch-size", "16", "--run-dir", str(tmp_path)]
    words += ["--schedule", "constant", "--learning-rate", "0.002"]
    assert cli_train.main([*words, "--steps", "6"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("tokens_per_s", "memory_mib", "exact_match", "answers")) and "mfu" not in said
    assert cli_train.main([*words, "--steps", "8", "--resume"]) == 0
    assert "step 8" in capsys.readouterr().out


def test_sizes_that_are_not_there_are_refused(capsys):
    assert cli_train.main(["train", "vlm", "--size", "huge"]) == 2
    assert "size 'huge' is none of ('tiny', 'small', 'base')" in capsys.readouterr().err
    assert cli_train.main(["train", "mlp", "--size", "tiny"]) == 2
    assert "mlp cannot be called with --size" in capsys.readouterr().err


PROGRAM = """
import dataclasses, json, sys
from course_lib.training.distributed import process_group, world
from course_lib.training.loop import fit
from course_lib.training.vlm_recipe import vlm
recipe = vlm(0)
config = dataclasses.replace(recipe.config, steps=4, batch_size=10, progress="none", log_every=1)
with process_group("cpu"):
    history = fit(recipe.model, recipe.data, recipe.loss, config, recipe.evaluate, weigh=recipe.weigh)
    if world().rank == 0:
        open(sys.argv[1], "w").write(json.dumps([history["loss"], history["grad_norm"], history.final]))
"""


def test_two_processes_compute_what_one_does(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, command in {"one": [sys.executable], "two": start}.items():
        subprocess.run(
            [*command, str(program), str(tmp_path / name)], check=True, capture_output=True, cwd=ROOT, timeout=120
        )
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one", "two"))
    assert two[0] == pytest.approx(one[0], rel=1e-4) and two[1] == pytest.approx(one[1], rel=1e-3)
    assert one[2]["exact_match"] == two[2]["exact_match"] and two[2]["tokens_per_s"] > 0


def test_the_largest_size_builds_and_learns_from_a_batch():
    torch.manual_seed(0)
    small = {**SIZES["base"].model, "width": 64, "depth": 2}
    model, stream = new_vlm(0, **small), InstructionStream(objects=(4, 4), size=64)
    batch = tuple(torch.stack(part) for part in zip(*(stream[row] for row in range(4)), strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = instruction_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 3 and losses[-1] < 0.3 and sum(p.numel() for p in vlm(0, "small").model.parameters()) > 1_500_000
