"""Make `import torchvision` work beside a torch it was not compiled for.

The ordinary torchvision wheel on Linux is compiled for a CUDA torch. Beside a CPU-only torch its compiled operators do
not load, and `import torchvision` then fails on registering a shape rule for an operator that is missing: `operator
torchvision::nms does not exist`. transformers imports torchvision, so it fails too, and its message never names it.

Declaring the two missing schemas is enough for the import: transforms, models and transformers work. What stays
missing are the compiled operators themselves (nms, roi_pool, image decoding); calling one says so.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
MISSING = (
    "this torchvision {torchvision} was compiled for another torch than {torch}, so its compiled operators (nms, "
    "roi_pool, deform_conv2d, image decoding) are missing; everything else works. Install a matched pair to get them, "
    "for example: pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu"
)

_kept_alive = []  # a torch.library.Library drops its definitions when it is collected


class TorchvisionState(NamedTuple):
    """How torchvision came to be importable."""

    version: str
    matched: bool
    """True: the plain import worked and nothing was touched. False: the missing schemas were declared."""
    reason: str


def ensure_torchvision() -> TorchvisionState:
    """Import torchvision, declaring the missing operator schemas only if the plain import fails because of them.

    Call it before importing transformers; it also recovers when that was tried first and failed.
    Raises ModuleNotFoundError if torchvision is not installed, and any other import error unchanged.
    """
    try:
        torchvision = importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name == "torchvision":
            raise ModuleNotFoundError("torchvision is not installed; try: pip install -r requirements.txt") from error
        raise
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        return _import_with_schemas()
    if _kept_alive:
        return TorchvisionState(torchvision.__version__, False, "schemas were declared earlier in this process")
    return TorchvisionState(torchvision.__version__, True, "plain import works")


def _import_with_schemas() -> TorchvisionState:
    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # the failed import left half of its modules behind
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _kept_alive.append(library)
    torchvision = importlib.import_module("torchvision")
    _explain_missing_operators(torchvision, torch.__version__)
    return TorchvisionState(torchvision.__version__, False, f"compiled for another torch than {torch.__version__}")


def _explain_missing_operators(torchvision: ModuleType, torch_version: str) -> None:
    message = MISSING.format(torchvision=torchvision.__version__, torch=torch_version)

    def assert_has_ops() -> None:
        raise RuntimeError(message)

    for name, module in list(sys.modules.items()):
        if name.startswith("torchvision.") and hasattr(module, "_assert_has_ops"):
            module._assert_has_ops = assert_has_ops


def try_operators() -> str | None:
    """Load torchvision's compiled operators beside torch and run one; return why that fails, None where it works.

    torchvision itself is not imported, which takes longer than to import torch.
    """
    import torch

    folder = Path(importlib.util.find_spec("torchvision").origin).parent
    libraries = [path for path in folder.glob("_C.*") if path.suffix in (".so", ".pyd")]
    if not libraries:
        return "it comes without them"
    try:
        torch.ops.load_library(libraries[0])
        kept = torch.ops.torchvision.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.2, 0.9]), 0.5)
    except (OSError, RuntimeError, AttributeError):
        return f"compiled for another torch than {torch.__version__}"
    return None if kept.tolist() == [1] else f"nms keeps boxes {kept.tolist()} of two equal ones, not the better one"
