"""Facts about the course's tiny vision-language model, for whoever defends it: counted on code, read from the record.

Nothing here is typed in: parameters are counted on the model, steps and scenes read from course_lib/training/vlm.py,
what was measured from datasets/recorded/vlm_cpu.json. A figure that is not recorded is said to be missing.
"""

import inspect
import json
from pathlib import Path

from course_lib.data.shapes import PAIRS, SEEN
from course_lib.interview.record import Text
from course_lib.training import vlm

RECORD = Path(__file__).resolve().parents[3] / "datasets" / "recorded" / "vlm_cpu.json"
CODE = "course_lib/training/vlm.py"
EVERYTHING = "everything"
METRICS = ("exact_match", "bleu4", "cider", "chair_i", "pope_random_accuracy", "pope_adversarial_accuracy")


def facts(topic: str, record: Path = RECORD) -> list[Text]:
    """What is known of that topic of project.py, each with where it comes from."""
    counted = {"architecture": _architecture, "frozen": _stages, "data": _data}
    found = counted[topic]() if topic in counted else []
    if topic not in _MEASURED:
        return found
    name = f"datasets/recorded/{record.name}"
    if not record.exists():
        missing = Text(
            f"Measured figures: {name} does not exist yet; python tests/benchmarks/vlm.py --write makes it.",
            f"实测数字：还没有 {name}；运行 python tests/benchmarks/vlm.py --write 生成。",
        )
        return [*found, missing]
    content = json.loads(record.read_text(encoding="utf-8"))
    return [*found, *(Text(f"{each.en} ({name})", f"{each.zh}（{name}）") for each in _MEASURED[topic](content))]


def _architecture() -> list[Text]:
    model = vlm.new_vlm(0)
    vision, parts = model.vision, {"vision": model.vision, "projector": model.projector, "decoder": model.decoder}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    side = f"{vision.side} × {vision.side}"
    return [
        Text(
            f"A vision transformer on {side} pixels, {model.patches} patches of {vision.patch} × {vision.patch}, width "
            f"{vision.width}, {len(vision.blocks)} blocks; a projector of two layers; a causal decoder of "
            f"{len(model.decoder.blocks)} blocks. (course_lib/models/vlm.py)",
            f"视觉 Transformer 输入 {side} 像素，{model.patches} 个 {vision.patch} × {vision.patch} 的 patch，宽度 "
            f"{vision.width}，{len(vision.blocks)} 个块；两层投影器；{len(model.decoder.blocks)} 个块的因果解码器。"
            "（course_lib/models/vlm.py）",
        ),
        Text(
            f"Parameters: {sizes}; {sum(counts.values()):,} in all.",
            f"参数量：{sizes}；共 {sum(counts.values()):,}。",
        ),
    ]


def _stages() -> list[Text]:
    steps = {name: getattr(vlm, name).steps for name in ("PROJECTOR", "DECODER", "ALL")}
    return [
        Text(
            f"Stage 1 trains only the projector ({steps['PROJECTOR']} steps), stage 2 projector and decoder "
            f"({steps['DECODER']}), the last one everything ({steps['ALL']}). ({CODE})",
            f"阶段一只训练投影器（{steps['PROJECTOR']} 步），阶段二训练投影器和解码器（{steps['DECODER']} 步），"
            f"最后全部训练（{steps['ALL']} 步）。（{CODE}）",
        )
    ]


def _data() -> list[Text]:
    scenes = inspect.signature(vlm.training_data).parameters["scenes"].default
    return [
        Text(
            f"{scenes:,} drawn scenes with captions and questions; {len(SEEN)} of {len(PAIRS)} pairs of colour and "
            f"shape occur in training. ({CODE}, course_lib/data/shapes.py)",
            f"{scenes:,} 个绘制的场景，带描述和问答；{len(PAIRS)} 种颜色与形状的组合中，训练里出现 {len(SEEN)} 种。"
            f"（{CODE}，course_lib/data/shapes.py）",
        )
    ]


def _cases(content: dict) -> dict[str, dict]:
    return content["caption_case"]["on_new_scenes"]


def _exact(row: dict) -> str:
    mean, low, high = row["exact_match"]
    return f"{mean:.1%} [{low:.1%}, {high:.1%}]"


def _by_stage(content: dict) -> list[Text]:
    rows = _cases(content)
    said = "; ".join(f"{case} {_exact(rows[case])}" for case in ("projector only", "projector and decoder", EVERYTHING))
    return [
        Text(
            f"Exact match by what was trained, mean [smallest, largest] over seeds: {said}.",
            f"按训练部分的完全匹配率，均值 [最小, 最大]：{said}。",
        )
    ]


def _ablation(content: dict) -> list[Text]:
    rows = _cases(content)
    said = "; ".join(f"{case} {_exact(row)}" for case, row in rows.items() if case.startswith(EVERYTHING))
    return [Text(f"Exact match with the image taken away: {said}.", f"拿走图像后的完全匹配率：{said}。")]


def _metric(content: dict) -> list[Text]:
    rows = {case: _cases(content)[case] for case in (EVERYTHING, "blind language model")}
    said = "; ".join(
        f"{case}: " + ", ".join(f"{name} {row[name][0]:.3f}" for name in METRICS) for case, row in rows.items()
    )
    return [Text(f"On {content['scenes']} new scenes, {said}.", f"在 {content['scenes']} 个新场景上，{said}。")]


def _failure(content: dict) -> list[Text]:
    seen, new = _cases(content)[EVERYTHING], content["caption_case"]["compositional_split"][EVERYTHING]
    match, chair = f"{_exact(new)} / {_exact(seen)}", f"{new['chair_i'][0]:.3f} / {seen['chair_i'][0]:.3f}"
    return [
        Text(
            f"New pairs of known colours and shapes / scenes like those of training: exact match {match}, CHAIR_i "
            f"{chair}.",
            f"已知颜色与形状的新组合，对比与训练相似的场景：完全匹配率 {match}，CHAIR_i {chair}。",
        )
    ]


def _cost(content: dict) -> list[Text]:
    seconds = content["stage_cpu_seconds"]
    said = ", ".join(f"{stage} {value:g} s" for stage, value in seconds.items())
    machine = content["machine"]
    return [
        Text(
            f"CPU seconds of each step for one seed: {said}; {sum(seconds.values()):.0f} s in all, on {machine}.",
            f"一个种子各步骤的 CPU 秒数：{said}；共 {sum(seconds.values()):.0f} s，机器 {machine}。",
        )
    ]


_MEASURED = {
    "frozen": _by_stage,
    "ablation": _ablation,
    "metric": _metric,
    "failure": _failure,
    "cost": _cost,
}
