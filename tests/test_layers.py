"""The shape of the house: small files, plain names, imports that point one way, and nothing happening on import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "course_lib").rglob("*.py"))
# A room may import the rooms before it. Rooms on one line do not know each other.
LAYERS = [
    ["compat", "misfits", "cli_call"],
    ["signatures"],
    ["refuse"],
    ["data", "models", "losses", "metrics", "learner"],
    ["training", "explain"],
    ["lesson"],
    ["exercises", "clinic"],
    ["interview", "copies"],
    ["doctor", "lab"],
    ["cli_interview", "cli_lessons", "cli_train"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room(path):
    return path.relative_to(ROOT / "course_lib").parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not any(name.name == "*" for name in node.names), f"{path} has a star import"
            if node.module == "course_lib":
                yield from (f"course_lib.{name.name}" for name in node.names)
            else:
                yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path):
    here = room(path)
    if here == "__init__":
        assert not list(imports(path))
        return
    for module in imports(path):
        assert not module.startswith(("notebooks", "tests")), f"{path} imports {module}"
        parts = module.split(".")
        if parts[0] == "course_lib" and len(parts) > 1 and parts[1] != here:
            assert LEVEL[parts[1]] < LEVEL[here], f"{here} imports {parts[1]}, which stands beside or above it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_are_small_nouns(path):
    assert path.stem not in {"utils", "common", "helpers"}
    lines = path.read_text(encoding="utf-8").splitlines()
    # an exercise stays together: stages, reference, mutants, alternatives, hints
    limit = 550 if room(path) == "exercises" else 250
    assert len(lines) <= limit, f"{len(lines)} lines: split by subject"
    assert ast.get_docstring(ast.parse("\n".join(lines))), "a module opens with its story"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_functions_are_short(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


QUIET_IMPORT = """
import contextlib, importlib, io, os, socket, sys, time
import torch, numpy, sklearn, matplotlib.pyplot  # these change the environment themselves
torch.manual_seed(7); numpy.random.seed(7)
def refuse(*args, **kwargs): raise OSError("a socket was opened on import")
socket.socket = refuse
state, noise, environment = torch.get_rng_state(), numpy.random.get_state()[1].copy(), dict(os.environ)
slow = {}
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
    for name in sys.argv[1:]:
        started = time.perf_counter(); importlib.import_module(name); slow[name] = time.perf_counter() - started
assert out.getvalue() == "", f"printed on import: {out.getvalue()!r}"
assert torch.equal(state, torch.get_rng_state()) and (noise == numpy.random.get_state()[1]).all(), "seeded on import"
assert dict(os.environ) == environment, "environment changed on import"
assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32
"""


def test_importing_every_module_has_no_effects():
    names = [p.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for p in FILES if p.name != "__init__.py"]
    result = subprocess.run([sys.executable, "-c", QUIET_IMPORT, *names], capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import course_lib; print(sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "['course_lib']", result.stdout
