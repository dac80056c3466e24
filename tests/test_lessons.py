"""What every built lesson keeps to: anatomy, size, output, cost. The second form is measured by lesson/form.py."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from course_lib.lesson import form
from course_lib.lesson.syllabus import load_lessons

ROOT = Path(__file__).resolve().parents[1]
BUILT = [lesson for lesson in load_lessons() if lesson.built]
FULL = [lesson for lesson in BUILT if lesson.number != "00"]  # 00 explains the course, it teaches no topic
SECOND = [lesson for lesson in BUILT if form.is_second_form(nbformat.read(lesson.notebook, as_version=4).cells)]
FIRST = [lesson for lesson in FULL if lesson not in SECOND]
PARTS = (
    "The interview question",
    "The 60-second answer",
    "You will be able to",
    "Try first",
    "By hand",
    "In symbols",
    "Build it",
    "Explore",
    "Evidence",
    "Wrong answers people give",
    "At scale",
    "Interview",
    "Card",
    "Sources",
    "Worked solutions",
)


def cells(lesson, kind=None):
    notebook = nbformat.read(lesson.notebook, as_version=4)
    return [cell for cell in notebook.cells if kind in (None, cell.cell_type)]


def code_lines(cell):
    """Lines that are not blank and not part of a claim: that is a sentence with its measurement, not code to follow."""
    tree = ast.parse(cell.source)
    claims = [node for node in tree.body if isinstance(node, ast.Expr) and _calls(node.value) == "claim"]
    said = {line for node in claims for line in range(node.lineno, node.end_lineno + 1)}
    return [n for n, line in enumerate(cell.source.splitlines(), start=1) if line.strip() and n not in said]


def _calls(node):
    return getattr(node.func, "id", None) if isinstance(node, ast.Call) else None


def each(lessons):
    return pytest.mark.parametrize("lesson", lessons, ids=lambda lesson: lesson.number)


@each(FIRST)
def test_parts_stand_in_their_order(lesson):
    text = "\n".join(cell.source for cell in cells(lesson, "markdown"))
    positions = []
    for part in PARTS:
        found = re.search(rf"^(#+ {lesson.number.lstrip('0')}\.\d+ |\*\*){part}", text, re.MULTILINE)
        assert found, f"part missing: {part}"
        positions.append(found.start())
    assert positions == sorted(positions), "the parts stand in another order than in lesson 07"


@each(FIRST)
def test_one_sitting(lesson):
    all_cells, code = cells(lesson)[:-1], cells(lesson, "code")  # the last cell leads to the next lesson
    taught = [cell for cell in code if "solution" not in cell.metadata.get("tags", [])]
    assert 45 <= len(all_cells) <= 75, f"{len(all_cells)} cells"
    assert 20 <= len(taught) <= 36, f"{len(taught)} code cells besides worked solutions"


@each(FIRST)
def test_code_cells_are_short(lesson):
    lengths = sorted(len(code_lines(cell)) for cell in cells(lesson, "code"))
    assert lengths[len(lengths) // 2] <= 8, f"median code cell has {lengths[len(lengths) // 2]} lines"
    assert lengths[-1] <= 25, f"longest code cell has {lengths[-1]} lines"


@each(SECOND)
def test_keeps_to_the_second_form(lesson):
    assert form.complaints(cells(lesson)) == []


@each(BUILT)
def test_every_bet_is_answered_by_its_claim(lesson):
    """A claim further down names one of the options; the visible code does not."""
    asked, answered = {}, {}
    for place, cell in enumerate(cells(lesson, "code")):
        for call in filter(_calls, ast.walk(ast.parse(cell.source))):
            if _calls(call) == "bet":
                asked[ast.literal_eval(call.args[0])] = place, ast.literal_eval(call.args[2])
            for keyword in call.keywords if _calls(call) == "claim" else []:
                if keyword.arg == "answer":
                    answered[ast.literal_eval(call.args[0])] = place, ast.literal_eval(keyword.value)
    assert asked.keys() == answered.keys()
    for id, (place, options) in asked.items():
        assert place < answered[id][0] and answered[id][1] in options, f"{id}: {answered[id]} of {options}"


@each(SECOND)
def test_what_answers_a_bet_is_folded(lesson):
    source, folded = lesson.source.read_text(encoding="utf-8"), 0
    for cell in cells(lesson, "code"):
        if re.search(r"^claim\(.*answer=", cell.source, re.MULTILINE | re.DOTALL):
            assert {"claim", "reveal"} <= set(form.tags(cell)), f"gives the bet away:\n{cell.source}"
        folded += form.tags(cell) == ["reveal"]
    bets = len(re.findall(r"^bet\(", source, re.MULTILINE))
    assert folded >= 2 and bets >= 2, f"{bets} bets, {folded} cells of code tagged reveal"
    assert f'bets("{lesson.number}")' in source


@each(FULL)
def test_has_claims_exercises_an_explorer_and_questions(lesson):
    source = lesson.source.read_text(encoding="utf-8")
    claims = re.findall(r'claim\(\s*"(C\d\d\.\d+[a-z]?)"', source)
    assert len(claims) >= 6 and len(set(claims)) == len(claims), f"claims {claims}"
    assert all(claim.startswith(f"C{lesson.number}.") for claim in claims)
    exercises = [cell for cell in cells(lesson, "code") if "exercise" in cell.metadata.get("tags", [])]
    solutions = [cell for cell in cells(lesson, "code") if "solution" in cell.metadata.get("tags", [])]
    assert len(exercises) >= 3 and len(exercises) == len(solutions)
    assert "explore(" in source and f'show_questions("{lesson.number}")' in source


@each(BUILT)
def test_stubs_are_unattempted_and_solutions_pass(lesson):
    for cell in cells(lesson, "code"):
        printed = "".join(output.get("text", "") for output in cell.outputs)
        if "exercise" in cell.metadata.get("tags", []):
            assert "not attempted yet" in printed, cell.source
        solution = "solution" in cell.metadata.get("tags", [])
        checks = re.findall(r"^check\(.*\)$", cell.source, re.MULTILINE)
        assert all(call.endswith(", solution=True)") == solution for call in checks), "whose pass is this?"
        if solution:
            assert re.search(r"^✓ \d\d\.\d .* passed$", printed, re.MULTILINE) and "✗" not in printed, cell.source


@each(BUILT)
def test_every_cell_but_definitions_shows_something(lesson):
    silent = [cell.source for cell in cells(lesson, "code")[1:] if not cell.outputs]
    computing = [source for source in silent if not re.search(r"^(def|class|[A-Z_]+ = )", source, re.MULTILINE)]
    assert not computing, f"shows nothing:\n{computing[0]}"


@each(BUILT)
def test_outputs_are_the_same_everywhere(lesson):
    for cell in cells(lesson, "code"):
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.source
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            assert not re.search(r"\bat 0x[0-9a-f]+|warning", text, re.IGNORECASE), text


@each(BUILT)
def test_every_picture_has_words(lesson):
    for cell in cells(lesson):
        for output in cell.get("outputs", []):
            assert "image/png" not in output.get("data", {}), (
                f"JupyterLab gives it no words; use show():\n{cell.source}"
            )
            for picture in re.findall(r"<img [^>]*>", output.get("data", {}).get("text/html", "")):
                assert re.search(r'alt="[^"]+"', picture), f"figure without alt text:\n{cell.source}"
        if cell.cell_type == "markdown":
            for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", cell.source):
                assert alt.strip(), f"picture without alt text: {target}"
                assert (ROOT / "notebooks" / target).exists(), f"missing picture {target}"


@each(BUILT)
def test_plain_markdown_and_no_network(lesson):
    for cell in cells(lesson, "markdown"):
        assert not re.search(r"<(table|div|img|script)\b", cell.source), cell.source
        assert "```mermaid" not in cell.source
    source = lesson.source.read_text(encoding="utf-8")
    assert not re.search(r"\b(requests|urllib|hf_hub_download|download_\w+)\b|from_pretrained\(\"", source)


@each(BUILT)
def test_addresses_are_links(lesson):
    """A paper, a page: one click from where it is named."""
    for cell in cells(lesson, "markdown"):
        text = re.sub(r"`[^`]*`|<https?://[^>]*>|\[[^\]]*\]\([^)]*\)", "", cell.source)  # code and links
        bare = re.findall(r"arXiv:\d+\.\d+|\bdoi:10\.\S+|https?://\S+|\bwww\.\S+", text)
        assert not bare, f"write [{bare[0]}](https://…)"


@each(FULL)
def test_sources_have_links(lesson):
    text = "\n\n".join(cell.source for cell in cells(lesson, "markdown"))
    section = re.search(r"^## \d+\.\d+ Sources\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]
    sources = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    linked = [source for source in sources if re.search(r"\]\(https?://|<https?://", source)]
    assert len(sources) >= 3 and len(linked) >= 0.9 * len(sources), [each for each in sources if each not in linked]


@each(BUILT)
def test_size_and_recorded_cost(lesson):
    assert lesson.notebook.stat().st_size <= 300_000
    record = json.loads((ROOT / "datasets/recorded/lessons.json").read_text(encoding="utf-8"))
    assert lesson.number in record, f"run: python notebooks/build.py --measure {lesson.number}"
    assert record[lesson.number]["cpu_seconds"] <= 60 and record[lesson.number]["peak_mib"] <= 700


@each(BUILT)
def test_headings_are_numbered_in_order(lesson):
    text = "\n".join(cell.source for cell in cells(lesson, "markdown"))
    numbers = [int(number) for number in re.findall(rf"^## {int(lesson.number)}\.(\d+) ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers, f"sections {numbers}"
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, "one title a notebook"


def test_the_start_page_sends_15_minutes_where_the_lessons_do_and_its_explorer_reaches_its_bet():
    """Its table names the parts that the lessons' first cells link; its bet asks about a temperature of 100."""
    start = next(lesson for lesson in BUILT if lesson.number == "00")
    text = "\n".join(cell.source for cell in cells(start))
    (row,) = re.findall(r"^\| 15 minutes .*\|(.*)\|$", text, re.MULTILINE)
    parts = "60-second answer", "wrong answers", "card"
    assert all(part in row for part in parts)
    for lesson in SECOND:
        head = "\n".join(cell.source for cell in cells(lesson)[:2]).lower()
        assert "15 minutes" not in head or all(part in head for part in parts), lesson.number
    (choices,) = re.findall(r"temperature=(\[.*\])", text)
    assert 100.0 in ast.literal_eval(choices) and "at temperature 100?" in text
