"""Time and memory of every method of `attribute` on 64 examples, against captum called on one example after the other.

    python tests/benchmarks/explain.py            prints the table
    python tests/benchmarks/explain.py --write    also records it in datasets/recorded/explain_cpu.json

Each method runs in a process of its own, so that its peak memory is its own. Times are CPU seconds on one thread. The
loop calls captum by hand with the same settings; the table says how far its values are from those of the batch. Captum
itself puts the 50 steps of an example into one pass, so there is little left to gain for integrated_gradients.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import captum.attr as captum
import torch

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import COLOURS
from course_lib.explain.attribution import attribute
from course_lib.explain.methods import METHODS
from course_lib.explain.preparation import prepare
from course_lib.explain.regions import number_regions
from course_lib.models.vqa import VqaTransformer

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "datasets" / "recorded" / "explain_cpu.json"
EXAMPLES = 64
LEFT_OUT = ("deep_lift", "lime", "kernel_shap")
"""deep_lift does not apply to attention; lime and kernel_shap fit one example at a time, in captum too."""


def scene_questions():
    """64 scenes with a colour question each, and an untrained model: time does not depend on what it learnt."""
    drawn = make_scenes(200, seed=1, objects=(2, 3))
    asked = [(i, q.text) for i, each in enumerate(drawn.questions) for q in each if q.kind == "colour"][:EXAMPLES]
    inputs = {"image": drawn.images[[i for i, _ in asked]], "ids": ENGLISH.encode_batch([text for _, text in asked])}
    torch.manual_seed(0)
    return VqaTransformer(len(ENGLISH), len(COLOURS)).eval(), inputs, torch.arange(EXAMPLES) % len(COLOURS)


def one_by_one(method, model, inputs, target):
    """Captum by hand, one example after the other, with its defaults for how much to do at once."""
    ready = prepare(model, inputs, target, gradient=METHODS[method].gradient)
    masks = tuple(number_regions(inputs, {}).values())
    pieces = []
    for i in range(EXAMPLES):
        x, blank = (tuple(each[i : i + 1] for each in part.values()) for part in (ready.explained, ready.absent))
        extra = {
            "additional_forward_args": tuple(each[i : i + 1] for each in ready.behind) or None,
            "target": target[i],
        }
        torch.manual_seed(0)
        pieces.append(CAPTUM[method](ready.forward, model, x, blank, extra, masks))
    return [torch.cat(column) for column in zip(*pieces, strict=True)]


CAPTUM = {
    "saliency": lambda f, m, x, blank, e, masks: captum.Saliency(f).attribute(x, **e),
    "input_x_gradient": lambda f, m, x, blank, e, masks: captum.InputXGradient(f).attribute(x, **e),
    "integrated_gradients": lambda f, m, x, blank, e, masks: captum.IntegratedGradients(f).attribute(x, blank, **e),
    "gradient_shap": lambda f, m, x, blank, e, masks: captum.GradientShap(f).attribute(x, blank, n_samples=20, **e),
    "grad_cam": lambda f, m, x, blank, e, masks: (
        captum.LayerGradCam(f, m.patches).attribute(x, **e, relu_attributions=True),
    ),
    "occlusion": lambda f, m, x, blank, e, masks: captum.Occlusion(f).attribute(
        x, ((3, 4, 4), (1,)), ((3, 4, 4), (1,)), baselines=blank, **e
    ),
    "feature_ablation": lambda f, m, x, blank, e, masks: captum.FeatureAblation(f).attribute(
        x, blank, feature_mask=masks, **e
    ),
    "shapley": lambda f, m, x, blank, e, masks: captum.ShapleyValueSampling(f).attribute(
        x, blank, feature_mask=masks, n_samples=25, **e
    ),
}


def measure(method):
    """CPU seconds of both ways, their largest relative difference, and the memory that the batch added, in MiB."""
    model, inputs, target = scene_questions()
    layer = {"layer": model.patches} if method == "grad_cam" else {}
    small = {name: value[:2] for name, value in inputs.items()}
    attribute(model, small, target[:2], method=method, **layer)  # warm up: first calls allocate and import
    before = _peak_mib()
    times = []
    for _ in range(3):
        started = time.process_time()
        ours = attribute(model, inputs, target, method=method, **layer)
        times.append(time.process_time() - started)
    added = _peak_mib() - before
    started = time.process_time()
    looped = one_by_one(method, model, inputs, target)
    loop = time.process_time() - started
    if method == "grad_cam":
        looped = [torch.nn.functional.interpolate(looped[0], (16, 16), mode="bilinear")]
    pairs = zip(ours.parts.values(), looped, strict=True)
    far = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    batch = min(times)
    return {
        "batch_s": round(batch, 3),
        "loop_s": round(loop, 3),
        "times_faster": round(loop / batch, 1),
        "largest_relative_difference": None if method == "gradient_shap" else float(f"{far:.1e}"),
        "added_mib": round(added),
    }


def _peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="record the table")
    parser.add_argument("--method", help="measure this method in this process and print JSON")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.method:
        print(json.dumps(measure(asked.method)))
        return
    rows = {}
    for method in (name for name in METHODS if name not in LEFT_OUT):
        found = subprocess.run(
            [sys.executable, __file__, "--method", method], capture_output=True, text=True, check=True
        )
        rows[method] = json.loads(found.stdout.splitlines()[-1])
        print(f"{method:21s} {rows[method]}", flush=True)
    if asked.write:
        provenance = {
            "examples": EXAMPLES,
            "date": date.today().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, one thread, Python {platform.python_version()}, "
            f"torch {torch.__version__}, CPU seconds",
            "command": "python tests/benchmarks/explain.py --write",
        }
        RECORD.write_text(json.dumps({**provenance, "methods": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
