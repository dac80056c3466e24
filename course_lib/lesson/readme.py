"""The generated parts of README.md: badges, the table of lessons, the tree. The rest of the file is written by hand.

Each part stands between `<!-- name:begin -->` and `<!-- name:end -->`; `notebooks/build.py` writes and checks them.
"""

import ast
import json
import re
import tomllib
from pathlib import Path

from course_lib.lesson.syllabus import ROOT, load_lessons

README = ROOT / "README.md"


def in_sync() -> bool:
    """Whether every generated part of README.md is up to date."""
    text = README.read_text(encoding="utf-8")
    return text == render(text)


def write() -> None:
    """Bring README.md's generated parts up to date."""
    text = README.read_text(encoding="utf-8")
    README.write_text(render(text), encoding="utf-8")


def render(text: str) -> str:
    """`text` with every generated part replaced; a missing marker is an error, not a silent no-op."""
    for name, content in {"badges": badges(), "lessons": lesson_table(), "tree": tree()}.items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md has no <!-- {name}:begin --> ... <!-- {name}:end --> pair; put it back")
        text = pattern.sub(lambda match, content=content: match[1] + content + match[2], text)
    return text


def badges() -> str:
    """Binder and CI badges for `[tool.course] repository` in pyproject.toml; nothing while that is empty."""
    address = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]["repository"]
    if not address:
        return ""
    path = address.removeprefix("https://github.com/").strip("/")
    binder = f"https://mybinder.org/v2/gh/{path}/HEAD?urlpath=lab/tree/my-lessons/00_start_here.ipynb"
    return (
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder}) "
        f"[![tests]({address}/actions/workflows/ci.yml/badge.svg)]({address}/actions/workflows/ci.yml)\n"
    )


def lesson_table() -> str:
    """Markdown table: lesson, the question it answers, CPU seconds and peak MiB as recorded, kB of the notebook."""
    record_file = ROOT / "datasets" / "recorded" / "lessons.json"
    record = json.loads(record_file.read_text(encoding="utf-8")) if record_file.exists() else {}
    rows = ["| lesson | the interview question | CPU s | peak MiB | kB |", "| --- | --- | --- | --- | --- |"]
    for lesson in load_lessons():
        if not lesson.built:
            rows.append(f"| {lesson.name} | {lesson.question} | planned | | |")
            continue
        cost = record.get(lesson.number, {"cpu_seconds": "?", "peak_mib": "?"})
        size = round(lesson.notebook.stat().st_size / 1000)
        link = f"[{lesson.name}](notebooks/{lesson.notebook.name})"
        rows.append(f"| {link} | {lesson.question} | {cost['cpu_seconds']} | {cost['peak_mib']} | {size} |")
    return "\n".join(rows) + "\n"


def tree() -> str:
    """Every Python file of course_lib, notebooks and tests with the first sentence of its docstring."""
    lines = ["```"]
    for folder in ("course_lib", "notebooks", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py"), key=lambda path: (path.parent, path.name)):
            if path.name not in ("__init__.py", "conftest.py") and "src" not in path.parts:
                lines.append(f"{path.relative_to(ROOT).as_posix():<42} {_first_sentence(path)}")
    return "\n".join([*lines, "```"]) + "\n"


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if docstring is None:
        return "tests of the module of that name" if path.stem.startswith("test_") else ""
    return re.split(r"(?<=[.!?])\s|\n\n", docstring)[0].replace("\n", " ").rstrip(".:")
