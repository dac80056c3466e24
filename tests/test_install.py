"""Set-up: pins agree, Binder is self-contained, the two commands do what README.md says."""

import re
import tomllib
from pathlib import Path

import pytest

from course_lib.doctor import requirements

ROOT = Path(__file__).resolve().parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_binder_pins_are_the_root_pins_with_cpu_torch():
    root, binder = requirements(text("requirements.txt")), requirements(text("binder/requirements.txt"))
    assert {name: version.removesuffix("+cpu") for name, version in binder.items()} == root
    assert binder["torch"].endswith("+cpu") and binder["torchvision"].endswith("+cpu")


def test_binder_files_are_what_repo2docker_reads():
    assert re.fullmatch(r"python-3\.\d+\n", text("binder/runtime.txt"))
    assert text("binder/start").rstrip().endswith('exec "$@"')
    assert "-r ../" not in text("binder/requirements.txt")  # a local reference would re-install torch at every commit


def test_every_requirement_is_pinned():
    lines = [line for line in text("requirements.txt").splitlines() if line and not line.startswith("#")]
    tools = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]["test"]
    assert all(re.fullmatch(r"[a-z0-9_-]+==[0-9.]+", line) for line in [*lines, *tools])


def test_make_lab_and_make_test_exist_and_readme_names_them():
    assert {"lab:", "test:"} <= {line.split(" ")[0] for line in text("Makefile").splitlines()}
    assert "make lab" in text("README.md") and "make test" in text("README.md")


def test_no_dead_link_while_the_address_is_empty():
    if tomllib.loads(text("pyproject.toml"))["tool"]["course"]["repository"]:
        pytest.skip("the repository has an address")
    assert "mybinder.org/v2" not in text("README.md") and "badge.svg" not in text("README.md")


def test_relative_links_in_markdown_files_exist():
    for name in ("README.md", "CONTRIBUTING.md", "datasets/README.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(name)):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def test_binder_makes_the_copies_and_starts_all_the_same_if_it_cannot():
    assert "course copy --jupyter-config" in text("binder/postBuild")
    assert "course copy || true" in text("binder/start")
