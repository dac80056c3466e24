"""The torchvision fix: each case in its own process, because a failed import cannot be undone in this one."""

import subprocess
import sys

import pytest

FAKE_MATCHED = """
import sys, types
fake = types.ModuleType("torchvision"); fake.__version__ = "9.9"; sys.modules["torchvision"] = fake
before = dict(vars(fake))
from course_lib.compat import ensure_torchvision
state = ensure_torchvision()
assert state.matched and state.version == "9.9", state
assert vars(fake) == before, "a matched torchvision was changed"
assert "torch" not in sys.modules, "torch.library was touched for a matched pair"
"""
ORDERS = {
    "course_lib first": "",
    "torchvision first": "try:\n    import torchvision\nexcept RuntimeError:\n    pass\n",
    "transformers first": "try:\n    from transformers import CLIPModel\nexcept Exception:\n    pass\n",
    "torch first": "import torch\n",
}
AFTERWARDS = """
from course_lib.compat import ensure_torchvision
first, second = ensure_torchvision(), ensure_torchvision()
assert first.matched == second.matched
from transformers import CLIPModel
import torch
from torchvision.transforms import v2
assert v2.CenterCrop(4)(torch.zeros(3, 8, 8)).shape == (3, 4, 4)
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)


def torchvision_is_matched():
    return run("import torchvision").returncode == 0


@pytest.mark.parametrize("order", ORDERS)
def test_works_whatever_was_imported_first(order):
    result = run(ORDERS[order] + AFTERWARDS)
    assert result.returncode == 0, result.stderr


def test_a_matched_pair_is_left_alone():
    result = run(FAKE_MATCHED)
    assert result.returncode == 0, result.stderr


def test_a_missing_operator_says_what_to_install():
    if torchvision_is_matched():
        pytest.skip("this torchvision has its compiled operators")
    result = run(
        "from course_lib.compat import ensure_torchvision; ensure_torchvision()\n"
        "import torch, torchvision\n"
        "torchvision.ops.nms(torch.tensor([[0., 0., 1., 1.]]), torch.ones(1), 0.5)"
    )
    assert result.returncode == 1
    assert "was compiled for another torch" in result.stderr and "pip install" in result.stderr


def test_another_import_error_is_not_hidden():
    code = (
        "import sys, types\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torchvision': raise RuntimeError('disk on fire')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "from course_lib.compat import ensure_torchvision; ensure_torchvision()"
    )
    result = run(code)
    assert result.returncode == 1 and "disk on fire" in result.stderr


def test_operators_are_tried_without_importing_torchvision():
    result = run(
        "import sys; from course_lib.compat import try_operators; print(try_operators()); "
        "assert 'torchvision' not in sys.modules"
    )
    assert result.returncode == 0, result.stderr
    assert (result.stdout.strip() == "None") == torchvision_is_matched()


@pytest.mark.parametrize("kept, found", [("[1]", "None"), ("[0]", "nms keeps boxes [0] of two equal ones")])
def test_operators_that_load_are_run(kept, found):
    """With an operator of our own in the place of the compiled one, since the pair here may not fit."""
    result = run(
        "import torch\n"
        "torch.ops.load_library = lambda path: None\n"
        "library = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        f"library.impl('nms', lambda boxes, scores, threshold: torch.tensor({kept}), 'CPU')\n"
        "from course_lib.compat import try_operators; print(try_operators())"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(found)
