"""Every case accepts its repair, and rejects the broken program and each wrong repair with advice of its own."""

import importlib
import re
import sys

import pytest

from course_lib.clinic import desk
from course_lib.clinic.case import edited
from course_lib.clinic.child import answer
from course_lib.clinic.judge import judge, load, run_stages
from course_lib.clinic.silencing import ADVICE, missing, silenced
from course_lib.clinic.ward import CASES, find_case

HIDING = tuple(ADVICE.values())


def each_case(function):
    return pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)(function)


@each_case
def test_the_repair_passes(case):
    passed, line = judge(case, edited(case.source, case.repair))
    assert passed, line
    assert line == f"✓ clinic {case.number}  repaired: {case.defect}"


@each_case
def test_the_broken_program_gets_its_advice(case):
    passed, line = run_stages(case, case.source)
    assert not passed and case.original in line, line
    assert judge(case, case.source).line.startswith("○"), "handed in as it came"


@each_case
def test_every_wrong_repair_gets_its_own_advice(case):
    assert len(case.wrong) >= 3
    verdicts = {advice: judge(case, edited(case.source, edits)) for advice, edits in case.wrong.items()}
    for advice, (passed, line) in verdicts.items():
        assert not passed, f"wrong repair '{advice}' passed"
        assert advice in line, f"expected '{advice}' in: {line}"
    assert len({line for _, line in verdicts.values()}) == len(verdicts), "two wrong repairs get the same advice"
    hiding = [line for _, line in verdicts.values() if line.endswith(HIDING)]
    assert hiding, "no wrong repair hides the failure"


@each_case
def test_every_stage_is_needed(case):
    lines = [run_stages(case, edited(case.source, edits)).line for edits in case.wrong.values()]
    lines.append(run_stages(case, case.source).line)
    for number, stage in enumerate(case.stages, start=1):
        assert any(f"test {number} of" in line for line in lines), f"nothing is stopped by {stage.__name__}"


@each_case
def test_a_case_is_small_and_does_not_tell_its_defect(case):
    lines = case.source.splitlines()
    assert 25 <= len(lines) <= 66, f"{len(lines)} lines"
    assert len(case.hints) >= 2 and case.met and 1 <= case.difficulty <= 3 and case.minutes > 0
    words = ("wrong", "bug", "defect", "broken", "fix", "mistake")
    assert not [word for word in words if re.search(rf"\b{word}\b", case.source.lower())]


@each_case
def test_a_case_names_where_its_defect_was_met(case):
    """A public report, or the page that the program contradicts; an erratum's number alone says nothing to a reader."""
    assert any("<https://" in each for each in case.met)


@each_case
def test_the_symptom_is_made_by_running(case):
    if case.number == "01":
        with pytest.raises(ImportError):
            load(case.source, "<01>").run()
        return
    broken, mended = (load(text, "<case>").run() for text in (case.source, edited(case.source, case.repair)))
    assert broken.keys() == mended.keys() and broken != mended


OTHER_RIGHT = {
    "own loss outside the model": (
        "02",
        "    outputs = model(images, caption_ids=labels)\n    if outputs.loss is None:\n        return None\n",
        "    outputs = model(images)\n    outputs.loss = nn.functional.cross_entropy(outputs.logits, labels)\n",
    ),
    "classes in the middle": (
        "03",
        "return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ENGLISH.PAD)",
        "return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], ignore_index=ENGLISH.PAD)",
    ),
    "a label at BOS, which the loss drops": (
        "04",
        "    return ids, list(ids)",
        "    return ids, [BOS, *[IGNORE] * len(prompt), *answer, EOS]",
    ),
    "assignment through the mask": (
        "05",
        "    which = seats.cumsum(dim=1).clamp(max=patches.shape[1] - 1)  # the patch for each seat\n",
        "    merged = words.clone()\n    merged[seats] = patches.flatten(0, 1)\n    return merged\n    which = 0\n",
    ),
    "sum over words": (
        "06",
        "return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())",
        "real = ids[:, 1:] != PAD\n"
        "    return F.cross_entropy(logits[:, :-1][real], ids[:, 1:][real], reduction='sum') / real.sum()",
    ),
    "torch's own remover of prefixes, on a copy": (
        "08",
        "    model.load_state_dict(checkpoint, strict=False)",
        "    checkpoint = dict(checkpoint)\n"
        "    nn.modules.utils.consume_prefix_in_state_dict_if_present(checkpoint, 'module.')\n"
        "    model.load_state_dict(checkpoint)",
    ),
    "score of each row's last real word": (
        "09",
        "following = model(ids, real)[:, -1].argmax(dim=-1)",
        "last = (torch.arange(ids.shape[1]) * real).argmax(dim=1)\n"
        "        following = model(ids, real)[torch.arange(len(ids)), last].argmax(dim=-1)",
    ),
    "a copy in evaluation mode": (
        "10",
        "    return (model(x)",
        "    import copy\n\n    model = copy.deepcopy(model).eval()\n    return (model(x)",
    ),
    "the gate at one, the projection at zero": ("11", "torch.zeros(1)", "torch.ones(1)"),
    "norm of the vector in float32": (
        "12",
        "size = torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)\n"
        "        return x / size * self.scale.to(x.dtype)",
        "wide = x.float()\n        size = wide.square().mean(-1, keepdim=True).add(self.eps).sqrt()\n"
        "        return (wide / size * self.scale).to(x.dtype)",
    ),
    "transposed in the loader": ("14", "torch.stack(ids) if", "torch.stack(ids).T if"),
    "try and finally, which lets every error through": (
        "10",
        "    return (model(x).argmax(dim=1) == labels).float().mean().item()",
        "    was = model.training\n    model.eval()\n    try:\n"
        "        return (model(x).argmax(dim=1) == labels).float().mean().item()\n"
        "    finally:\n        model.train(was)",
    ),
    "a small projection behind a gate of 0": (
        "11",
        "        nn.init.zeros_(self.project.weight)\n",
        "        nn.init.normal_(self.project.weight, std=0.02)\n",
    ),
    "a gate that is nearly 0 before a projection of zeros": ("11", "torch.zeros(1)", "torch.full((1,), 1e-4)"),
    "all parameters, the body frozen": (
        "15",
        "    optimizer = torch.optim.AdamW(model.head.parameters(), lr=learning_rate)\n"
        "    model.head = nn.Linear(model.head.in_features, classes)\n    return optimizer",
        "    model.head = nn.Linear(model.head.in_features, classes)\n"
        "    return torch.optim.AdamW(model.parameters(), lr=learning_rate)",
    ),
    "an RMS norm in float64": (
        "12",
        "size = torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)\n"
        "        return x / size * self.scale.to(x.dtype)",
        "wide = x.double()\n"
        "        unit = wide * (wide.square().mean(-1, keepdim=True) + self.eps).rsqrt()\n"
        "        return unit.to(x.dtype) * self.scale.to(x.dtype)",
    ),
    "detached sum": ("16", "total += loss", "total += loss.detach()"),
}


@pytest.mark.parametrize("number, old, new", OTHER_RIGHT.values(), ids=OTHER_RIGHT)
def test_other_right_repairs_pass(number, old, new):
    case = find_case(number)
    passed, line = judge(case, edited(case.source, ((old, new),)))
    assert passed, line


def test_log_probabilities_are_a_right_repair_too():
    case = find_case("13")
    edits = ((".softmax(dim=-1)", ".log_softmax(dim=-1)"), ("    return model(x)\n", "    return model(x).exp()\n"))
    assert judge(case, edited(case.source, edits)).passed


def test_switching_back_in_the_training_loop_is_a_right_repair_too():
    case = find_case("10")
    edits = (
        ("    return (model(x).argmax", "    model.eval()\n    return (model(x).argmax"),
        ("        x, labels = make_data(64", "        model.train()\n        x, labels = make_data(64"),
    )
    assert judge(case, edited(case.source, edits)).passed


def test_there_are_enough_cases_and_numbers_follow():
    assert len(CASES) >= 12
    assert [case.number for case in CASES] == [f"{k:02d}" for k in range(1, len(CASES) + 1)]
    with pytest.raises(ValueError, match="no case '99'; there are 01, 02"):
        find_case("99")


def test_edits_must_fit_once():
    with pytest.raises(ValueError, match="stands 2 times"):
        edited("a a", (("a", "b"),))


PROGRAM = """
import torch
def f(x, y):
    assert x > 0
    return x
"""


@pytest.mark.parametrize(
    ("kind", "added"),
    [
        ("try", "try:\n    f(1, 2)\nexcept Exception:\n    pass"),
        ("try", "def g():\n    try:\n        f(1, 2)\n    finally:\n        return 0"),
        ("try", "for _ in range(2):\n    try:\n        f(1, 2)\n    finally:\n        continue"),
        ("suppress", "import contextlib\nwith contextlib.suppress(ValueError):\n    f(1, 2)"),
        ("strict", "m = torch.nn.Linear(1, 1)\nm.load_state_dict({}, strict=False)"),
        ("strict", "m = torch.nn.Linear(1, 1)\nm.load_state_dict({}, False)"),
        ("warnings", "import warnings\nwarnings.filterwarnings('ignore')"),
        ("nan", "x = torch.zeros(2).nan_to_num()"),
        ("patch", "torch.nn.functional.relu = None"),
        ("patch", "setattr(torch.Tensor, 'item', lambda self: 0.0)"),
    ],
)
def test_silencing_is_seen(kind, added):
    assert silenced(PROGRAM, PROGRAM + added) == ADVICE[kind]
    assert silenced(PROGRAM + added, PROGRAM + added) is None, "what stood there before may stay"


def test_finally_alone_hides_nothing():
    assert silenced(PROGRAM, PROGRAM + "try:\n    f(1, 2)\nfinally:\n    print('done')") is None


def test_the_symptom_of_case_10_shows_three_numbers():
    report = load(find_case("10").source, "<10>").run()
    assert len(set(report["three measurements of one model"])) == 3


def test_an_uneven_zip_is_no_loose_load():
    assert silenced(PROGRAM, PROGRAM + "zip([1], [2, 3], strict=False)") is None


def test_a_removed_assertion_and_a_removed_function_are_seen():
    assert silenced(PROGRAM, PROGRAM.replace("    assert x > 0\n", "")) == ADVICE["assert"]
    assert missing(PROGRAM, "import torch") == "`f` is gone; other files call it, so keep it and its arguments"
    assert "takes ['x'] now" in missing(PROGRAM, PROGRAM.replace("f(x, y)", "f(x)"))
    assert missing(PROGRAM, PROGRAM.replace("f(x, y)", "f(x, y, z=1)")) is None


def test_a_repair_is_text_a_file_or_functions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = find_case("03")
    path = desk.write("03")
    assert desk.repaired_source(case, (path,)) == desk.repaired_source(case, (str(path),)) == case.source
    with pytest.raises(FileExistsError):
        desk.write("03")

    def lm_loss(model, ids):
        return "mine"

    text = desk.repaired_source(case, (lm_loss,))
    assert 'return "mine"' in text and "ignore_index" not in text
    assert load(text, "<x>").lm_loss(None, None) == "mine"
    with pytest.raises(ValueError, match="no 'path_of' to replace; it has Writer, lm_loss"):

        def path_of():
            pass

        desk.repaired_source(case, (path_of,))
    with pytest.raises(ValueError, match="give a repair"):
        desk.repaired_source(case, ())
    with pytest.raises(TypeError, match="several parts are functions"):
        desk.repaired_source(case, (lm_loss, "text"))


def test_a_decorator_goes_with_its_function():
    def generate(model, prompts, count):
        return 1

    text = desk.repaired_source(find_case("09"), (generate,))
    assert "no_grad" not in text and load(text, "<x>").generate(None, None, None) == 1


def with_line(new, number="03", old="logits = model(ids)\n    return"):
    return desk.source(number).replace(old, new + "\n    return")


def test_an_exit_becomes_advice(capsys):
    assert "does the program call exit?" in desk.verdict("03", with_line("import os; os._exit(0)"))
    desk.check_repair("03", with_line('print("{}"); raise SystemExit(0)'))
    assert "raised SystemExit (line 28)" in capsys.readouterr().out.replace("\n  ", "")


@pytest.mark.parametrize(
    ("new", "advice"),
    [
        ("logits = modle(ids)", "your program raised NameError (line 28): name 'modle' is not defined"),
        ("logits = (model(ids)", "does not parse: '(' was never closed (line 28)"),
        ("raise NotImplementedError", "○ clinic 03  not attempted yet"),
    ],
)
def test_a_crash_becomes_a_line(new, advice):
    assert advice in judge(find_case("03"), with_line(new)).line


def test_the_symptom_prints_the_complaint_and_what_was_measured(capsys):
    desk.symptom("12")
    out = capsys.readouterr().out
    assert out.startswith('case 12, a norm layer in fp16: "No NaN')
    assert "activations of size 300: [measured largest output 0.0]" in out


def test_a_program_that_fails_says_where_without_paths_of_this_machine():
    said = answer("run", "01", desk.source("01"))
    assert said == {"error": "ImportError (line 16): cannot import name 'ViTForMaskedLM' from 'transformers'"}
    assert answer("run", "12", desk.source("12"))["report"]["activations of size 1"] == "largest output 3.5"


def test_hints_come_in_order(capsys):
    desk.clinic_hint("13")
    desk.clinic_hint("13", level=3)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "clinic 13  ●○○  5 minutes  hints: level=1 to level=3"
    with pytest.raises(ValueError, match="hints 1 to 3; level=4"):
        desk.clinic_hint("13", level=4)


def test_a_passed_repair_says_where_the_bug_was_met(capsys):
    desk.check_repair("08", desk.worked("08"))
    out = capsys.readouterr().out
    assert out.startswith("✓ clinic 08  repaired:") and "https://github.com/jingyaogong/minimind-v/issues/75" in out


def test_programs_are_importable_and_still():
    for case in CASES:
        name = f"course_lib.clinic.programs.{case.path.stem}"
        assert importlib.import_module(name).run is not None
        assert name in sys.modules
