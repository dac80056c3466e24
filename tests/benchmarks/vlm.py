"""The caption case of the tiny vision-language model: what each stage, and each way of taking the image away, is worth.

    OMP_NUM_THREADS=1 python tests/benchmarks/vlm.py             the table, from the committed checkpoints: 20 s
    OMP_NUM_THREADS=1 python tests/benchmarks/vlm.py --write     also trains, and records datasets/recorded/vlm_cpu.json
    ... --write recipe_tiny                                      anew for one part of the record: one of PARTS
    python tests/benchmarks/vlm.py --device cuda --size base     a GPU run of `course train vlm`: vlm_cuda_base.json

--write takes about 15 minutes of CPU: three seeds from nothing, the projector alone for longer, scenes whose objects
keep company, the stages of one seed, the recipe "tiny". Times are CPU seconds on one thread; figures are means over
three seeds with the smallest and the largest beside them. The checkpoints
themselves are made by tests/test_vlm_checkpoints.py.
"""

import argparse
import dataclasses
import json
import platform
import time
from datetime import date
from pathlib import Path
from statistics import mean

import torch

from course_lib.data.instructions import DESCRIBE, KINDS, encode_examples, make_instructions, mentioned, present
from course_lib.data.shapes import COLOURS, PAIRS, PARTNER, SEEN
from course_lib.metrics.hallucination import pope_probes
from course_lib.training import vlm as stages
from course_lib.training.device import pick_device
from course_lib.training.loop import fit
from course_lib.training.vlm import SCRATCH, load_vlm, train_vlm, training_data
from course_lib.training.vlm_recipe import SIZES, said_exactly, vlm
from course_lib.training.vlm_scores import accuracy_by_kind, answer_probes, say, score_captions, score_model

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "datasets" / "recorded"
SEEDS = (0, 1, 2)
SCENES = 300
CASES = {
    "blind language model": ("start", "none"),
    "projector only": ("projector", "own"),
    "projector and decoder": ("decoder", "own"),
    "everything": ("all", "own"),
    "everything, shuffled images": ("all", "shuffled"),
    "everything, blank images": ("all", "blank"),
    "everything, grey images": ("all", "grey"),
    "everything, no image": ("all", "none"),
}


def new_scenes(split):
    """Scenes that no training saw; those of "test" hold at least one colour-shape pair that no training saw either."""
    return make_instructions(SCENES, seed=77, split=split)


def named(pairs):
    return [f"{colour} {shape}" for colour, shape in pairs]


def scored(model, view="own", split="train"):
    """All figures; POPE's frequencies are those of the training scenes."""
    corpus = [present(scene) for scene in make_instructions(2000, seed=1).drawn.scenes]
    names = named(SEEN if split == "train" else PAIRS)
    return score_model(model, new_scenes(split), view=view, names=names, corpus=corpus)


def summary(rows):
    """Mean, smallest and largest of each figure."""
    return {name: [round(f(row[name] for row in rows), 4) for f in (mean, min, max)] for name in rows[0]}


def caption_case():
    """Every case on new scenes, and the stages that saw images on the compositional split."""
    table = {}
    for case, (stage, view) in CASES.items():
        table[case] = summary([scored(load_vlm(stage, seed), view) for seed in SEEDS])
        show(case, table[case])
    split = {}
    for case in ("projector only", "projector and decoder", "everything"):
        split[case] = summary([scored(load_vlm(CASES[case][0], seed), split="test") for seed in SEEDS])
        show(f"{case}, new pairs", split[case])
    questions = make_instructions(SCENES, seed=78, kinds=KINDS, questions=2)
    kinds = summary([accuracy_by_kind(load_vlm("all", seed), questions) for seed in SEEDS])
    return {"on_new_scenes": table, "compositional_split": split, "answers_of_everything": kinds}


def show(case, figures):
    kept = ("exact_match", "bleu4", "cider", "chair_i", "pope_random_accuracy", "pope_adversarial_accuracy")
    print(f"{case:36s}" + "  ".join(f"{name} {figures[name][0]:.3f}" for name in kept), flush=True)


def from_nothing():
    """All parts at once on captions alone and on captions with questions: CPU seconds and exact match after the run."""
    captions, mixed, _ = training_data()
    data, found = new_scenes("train"), {}
    for name, examples, schedule in (
        ("captions", captions, SCRATCH._replace(steps=1000)),
        ("captions and questions", mixed, SCRATCH),
    ):
        rows = []
        for seed in SEEDS:
            began = time.process_time()
            model, _ = train_vlm(seed, examples, schedule)
            seconds = time.process_time() - began
            with torch.no_grad():
                right = said_exactly(model, data[:3]).float().mean().item()
            rows.append({"cpu_seconds": round(seconds, 1), "exact_match": right})
            print(f"from nothing, {name}, seed {seed}: {rows[-1]}", flush=True)
        found[name] = {"steps": schedule.steps, **summary(rows)}
    return found


def equal_steps():
    """Exact match of the projector alone with as many steps as projector and decoder had, beside the stages."""
    captions, _, _ = training_data()
    data, longer = new_scenes("train"), []
    for seed in SEEDS:
        model = load_vlm("start", seed)
        stages.train_part(model, captions, stages.PROJECTOR._replace(steps=2000), model.projector)
        longer.append({"exact_match": exactly(model, data)})
        print(f"projector alone, 2000 steps, seed {seed}: {longer[-1]}", flush=True)
    staged = {stage: [{"exact_match": exactly(load_vlm(stage, s), data)} for s in SEEDS] for stage in STAGED}
    return {
        "exact_match": {
            STAGED["projector"]: summary(staged["projector"])["exact_match"],
            "projector, 2000 steps": summary(longer)["exact_match"],
            STAGED["decoder"]: summary(staged["decoder"])["exact_match"],
        }
    }


STAGED = {"projector": "projector, 500 steps", "decoder": "projector, 500, then with the decoder, 1500"}


def last_stage():
    """Exact match after the last stage, and after as many steps with vision frozen: what is thawed counts, or time."""
    _, mixed, _ = training_data()
    data, frozen = new_scenes("train"), []
    for seed in SEEDS:
        model = load_vlm("decoder", seed)
        stages.train_part(model, mixed, stages.ALL, model.projector, model.decoder)
        frozen.append({"exact_match": exactly(model, data)})
        print(f"vision frozen for the last 1000 steps, seed {seed}: {frozen[-1]}", flush=True)
    thawed = [{"exact_match": exactly(load_vlm("all", seed), data)} for seed in SEEDS]
    return {
        "exact_match": {
            "the same, 1000 more, vision frozen": summary(frozen)["exact_match"],
            "the same, 1000 more, all parts": summary(thawed)["exact_match"],
        }
    }


def exactly(model, data):
    return score_captions(say(model, data.images, data.prompts), data)["exact_match"]


def partners():
    """Projector and decoder after 1000 steps on scenes whose objects keep company, and on scenes where they do not."""
    data = new_scenes("train")
    corpus = [present(scene) for scene in make_instructions(2000, seed=5, together=0.9).drawn.scenes]
    found = {}
    for name, together in (("partners together", 0.9), ("no company", 0.0)):
        mixed, rows = make_instructions(8000, seed=1, kinds=KINDS, questions=2, together=together), []
        for seed in SEEDS:
            model = load_vlm("projector", seed)
            stages.train_part(model, mixed, stages.DECODER._replace(steps=1000), model.projector, model.decoder)
            rows.append(company(model, data, corpus))
            print(f"{name}, seed {seed}: {rows[-1]}", flush=True)
        found[name] = summary(rows)
    return found


def company(model, data, corpus):
    """How often it names what is absent, how often that is a partner of something there, and POPE's accuracies."""
    there = [present(data.drawn.scenes[row]) for row in data.rows]
    beside = {" ".join(pair): " ".join(partner) for pair, partner in PARTNER.items()}
    said = say(model, data.images, data.prompts)
    invented = [
        beside.get(pair) in shown
        for text, shown in zip(said, there, strict=True)
        for pair in mentioned(text)
        if pair not in shown
    ]
    figures = {name: score_captions(said, data)[name] for name in ("exact_match", "chair_i")}
    figures["partner_share"] = mean(invented)
    for sampling in ("random", "adversarial"):
        probes = pope_probes(there, sampling, corpus=corpus)
        figures[f"pope_{sampling}_accuracy"] = answer_probes(model, data.images, probes).accuracy
    return figures


def word_order():
    """From nothing, on captions that name the shape before the colour: which of the two is wrong on new pairs?

    The rival of "it sees the colour": a colour is right because it is written first.
    """
    captions, _, texts = training_data()
    ids, labels = encode_examples([DESCRIBE] * len(texts), [swapped(text) for text in texts])
    known, new, rows = new_scenes("train"), new_scenes("test"), []
    for seed in SEEDS:
        model, _ = train_vlm(seed, (captions[0], ids, labels), SCRATCH._replace(steps=1000))
        rows.append({"exact_match": right_swapped(model, known)[0], **slips(model, new)})
        print(f"shape before colour, seed {seed}: {rows[-1]}", flush=True)
    return summary(rows)


def swapped(caption):
    """'small red ring' <-> 'small ring red'."""
    words = caption.split()
    for place, word in enumerate(words[:-1]):
        if word in COLOURS:
            words[place], words[place + 1] = words[place + 1], word
    return " ".join(words)


def right_swapped(model, data):
    """Exact match with the captions that name the shape first, and what was said."""
    said = say(model, data.images, data.prompts)
    return mean(text == swapped(answer) for text, answer in zip(said, data.answers, strict=True)), said


def slips(model, data):
    """On new pairs: exact match; of the absent objects that are named, the shares whose colour, and shape, is there."""
    right, said = right_swapped(model, data)
    there = [present(data.drawn.scenes[row]) for row in data.rows]
    absent = []
    for text, pairs in zip(said, there, strict=True):
        words, seen = text.split(), " ".join(pairs).split()
        named = [(words[k], words[k - 1]) for k, word in enumerate(words) if k and word in COLOURS]
        absent += [(c in seen, s in seen) for c, s in named if f"{c} {s}" not in pairs]
    return {
        "new_pairs_exact_match": right,
        "colour_there": mean(c for c, _ in absent),
        "shape_there": mean(s for _, s in absent),
    }


def stage_seconds():
    """CPU seconds of each stage for one seed."""
    seconds, marks = {}, [time.process_time()]

    def lap(name):
        marks.append(time.process_time())
        seconds[name] = round(marks[-1] - marks[-2], 1)

    captions, mixed, texts = training_data()
    lap("drawing 8000 scenes")
    model = stages.new_vlm(0)
    stages.pretrain_vision(model, captions[0], texts, 0)
    lap("vision")
    stages.train_part(model, mixed, stages.LANGUAGE, model.decoder, blind=True)
    lap("language")
    stages.train_part(model, captions, stages.PROJECTOR, model.projector)
    lap("projector")
    stages.train_part(model, mixed, stages.DECODER, model.projector, model.decoder)
    lap("decoder")
    stages.train_part(model, mixed, stages.ALL, model)
    lap("all")
    print("stages", seconds, flush=True)
    return seconds


def recipe_run(size, device, steps=None):
    """`course train vlm --size SIZE`, its final figures."""
    runtime, recipe = pick_device(device), vlm(0, size)
    config = dataclasses.replace(recipe.config, progress="lines", steps=steps or recipe.config.steps)
    began, cpu = time.perf_counter(), time.process_time()
    history = fit(
        recipe.model.to(runtime.device), recipe.data, recipe.loss, config, recipe.evaluate, weigh=recipe.weigh
    )
    return {
        "parameters": sum(p.numel() for p in recipe.model.parameters()),
        "steps": config.steps,
        "batch_size": config.batch_size,
        "wall_seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "runtime": runtime.reason,
        **{
            name: round(float(history.final[name]), 4)
            for name in history.final
            if name not in ("step", "learning_rate")
        },
    }


PARTS = {
    "caption_case": caption_case,
    "from_nothing": from_nothing,
    "equal_steps": equal_steps,
    "last_stage": last_stage,
    "partners": partners,
    "word_order": word_order,
    "stage_cpu_seconds": stage_seconds,
    "recipe_tiny": lambda: recipe_run("tiny", "cpu"),
}


def provenance(command):
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "one thread"
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {card}, Python {platform.python_version()}, "
        f"torch {torch.__version__}",
        "command": command,
    }


def write(name, content):
    (RECORDED / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: datasets/recorded/{name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", nargs="*", choices=tuple(PARTS), help="measure and record these parts, or all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=tuple(SIZES), default="tiny")
    parser.add_argument("--steps", type=int, help="of the recipe on another device, instead of its own")
    asked = parser.parse_args()
    if asked.device != "cpu":
        kind = asked.device.partition(":")[0]
        command = f"python tests/benchmarks/vlm.py --device {asked.device} --size {asked.size}"
        run = recipe_run(asked.size, asked.device, asked.steps)
        write(f"vlm_{kind}_{asked.size}.json", {**provenance(command), "recipe": run})
        return
    torch.set_num_threads(1)
    if asked.write is None:
        caption_case()
        return
    path, parts = RECORDED / "vlm_cpu.json", asked.write or list(PARTS)
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    about = {"scenes": SCENES, "seeds": list(SEEDS), "each_figure": "mean, smallest, largest over the seeds"}
    measured = {part: PARTS[part]() for part in parts}
    write(path.name, content | provenance("python tests/benchmarks/vlm.py --write") | about | measured)


if __name__ == "__main__":
    main()
