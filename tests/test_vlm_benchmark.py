"""What is recorded of the caption case is what the committed checkpoints say, and it shows what it is meant to show."""

import importlib.util
import json
from pathlib import Path

import pytest

from course_lib.training.vlm import load_vlm

PATH = Path(__file__).with_name("benchmarks") / "vlm.py"
SPEC = importlib.util.spec_from_file_location("vlm_benchmark", PATH)
benchmark = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(benchmark)


@pytest.fixture(scope="module")
def recorded():
    return json.loads((benchmark.RECORDED / "vlm_cpu.json").read_text(encoding="utf-8"))


def test_the_record_is_reproduced_within_what_rounding_can_flip(recorded):
    """Another CPU may round a near tie the other way: at most a few of 300 captions."""
    for case in ("projector only", "everything, shuffled images"):
        stage, view = benchmark.CASES[case]
        found = benchmark.summary([benchmark.scored(load_vlm(stage, seed), view) for seed in benchmark.SEEDS])
        assert set(found) == set(recorded["caption_case"]["on_new_scenes"][case])
        for name, figures in found.items():
            scale = {"bleu4": 100, "cider": 10}.get(name, 1)
            assert figures == pytest.approx(recorded["caption_case"]["on_new_scenes"][case][name], abs=0.02 * scale), (
                name
            )


def test_each_stage_adds_on_every_seed(recorded):
    """The worst seed of a stage beats the best of the stage before, in exact match and BLEU-4."""
    order = ["blind language model", "projector only", "projector and decoder", "everything"]
    for name in ("exact_match", "bleu4"):
        spans = [recorded["caption_case"]["on_new_scenes"][case][name] for case in order]
        assert all(later[1] > earlier[2] for earlier, later in zip(spans, spans[1:], strict=False)), (name, spans)


def test_without_its_image_the_model_is_no_better_than_a_blind_one(recorded):
    for case in ("shuffled images", "blank images", "grey images", "no image"):
        assert recorded["caption_case"]["on_new_scenes"][f"everything, {case}"]["exact_match"][2] < 0.03
        assert recorded["caption_case"]["on_new_scenes"][f"everything, {case}"]["pope_random_accuracy"][2] < 0.6


def test_new_pairs_of_known_words_are_where_it_fails(recorded):
    seen, new = (
        recorded["caption_case"]["on_new_scenes"]["everything"],
        recorded["caption_case"]["compositional_split"]["everything"],
    )
    assert new["exact_match"][2] < 0.5 < 0.9 < seen["exact_match"][1]
    assert new["chair_i"][1] > 10 * max(seen["chair_i"][2], 0.01)


def test_from_nothing_it_takes_less_than_a_minute_of_one_thread(recorded):
    for name in ("captions", "captions and questions"):
        run = recorded["from_nothing"][name]
        assert run["exact_match"][1] >= 0.9 and run["cpu_seconds"][2] < 60, run
    assert recorded["command"] == "python tests/benchmarks/vlm.py --write" and "one thread" in recorded["machine"]


def test_a_row_of_the_summary_by_hand():
    assert benchmark.summary([{"a": 1.0}, {"a": 4.0}, {"a": 4.0}]) == {"a": [3.0, 1.0, 4.0]}
