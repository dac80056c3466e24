"""The measures of the second form: each complaint is raised by a lesson that deserves it, and by no other."""

import nbformat
import pytest

from course_lib.lesson import form

TITLE = "# 90 · Measures\n\n*15 minutes:* [The 60-second answer](#90.8-The-60-second-answer) · [Card](#90.10-Card)"
TEXT = "\n\n".join([*(f"## 90.{n} {part}" for n, part in enumerate((*form.IN_ORDER, *form.ANYWHERE)))])
PICTURE = nbformat.v4.new_output("display_data", {"image/png": "aGk="})


def text(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags, outputs=()):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def lesson(*cells):
    return [text(TITLE, form.MARK), text(TEXT), code("x = 1", outputs=[PICTURE]), *cells]


def lines(count):
    return "\n".join(f"x = {number}" for number in range(count))


def test_a_lesson_that_keeps_to_the_form():
    assert form.is_second_form(lesson()) and form.complaints(lesson()) == []
    assert not form.is_second_form([text(TITLE), *lesson()])


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([code(lines(7))] * 2, "the median cell has 7 lines; at most 6"),
        ([code("x")] * 6 + [code(lines(21))], "cells of more than 12 lines: [(21, 'x = 0')]"),
        ([code("x", outputs=[PICTURE])] * 9 + [code(lines(13))] * 4, "at most 3, and none over 20"),
        ([code(lines(6), outputs=[PICTURE])] * 40, "41 code cells and 241 lines are seen"),
        ([code("x = '" + 88 * "a" + "'")], "a line of 94 columns; at most 88, in the cell that begins \"x = 'aaa"),
        ([code("[[y for y in x] for x in z]")], "a comprehension in a comprehension; write a loop"),
        ([code("dict((k, sum(v for v in vs)) for k, vs in d)")], "a comprehension in a comprehension; write a loop"),
        ([code("f = lambda a: lambda b: a + b")], "a lambda in a lambda; write a function"),
        ([code('if x:\n    claim("C90.1", "x", x)')], "a claim among the code; give it a cell of its own"),
        ([code("x")] * 8, "1 figures for 9 cells of code; one for every 8"),
    ],
)
def test_what_stands_in_the_way_is_named(cells, complaint):
    found = form.complaints(lesson(*cells))
    assert len(found) == 1 and complaint in found[0], found


@pytest.mark.parametrize("data", [{"image/png": "aGk="}, {"text/html": '<p><img alt="bars" src="data:…"></p>'}])
def test_figures_count_in_both_forms(data):
    figure = nbformat.v4.new_output("display_data", data)
    assert form.complaints(lesson(*[code("x")] * 14, code("x", outputs=[figure]))) == []


def test_a_lesson_is_one_sitting():
    cells = lesson()
    cells[1] = text(TEXT.replace("## 90.5", "### Exercise 90.1 · f ●●● 95 minutes\n\n## 90.5"))
    assert form.complaints(cells) == ["95 minutes are no sitting; mark exercises as more, fold a section"]
    cells[1] = text(cells[1].source.replace("95 minutes", "95 minutes · more"))
    assert form.complaints(cells) == []


@pytest.mark.parametrize("tag", ["claim", "solution"])
def test_what_is_folded_does_not_stand_in_the_way(tag):
    hidden = code(lines(30) + "\nf = lambda a: lambda b: [[c for c in a] for a in b]\nclaim(x)\n#" + 100 * "-", tag)
    assert form.complaints(lesson(hidden)) == []


@pytest.mark.parametrize("part", [*form.IN_ORDER, *form.ANYWHERE])
def test_a_missing_part_is_named(part):
    cells = lesson()
    cells[1] = text(TEXT.replace(part, "Something else"))
    assert f"no part {part!r}" in form.complaints(cells)


def test_the_answer_comes_after_the_bets():
    cells = lesson()
    cells[1] = text(
        TEXT.replace("Try first", "@").replace("The 60-second answer", "Try first").replace("@", "The 60-second answer")
    )
    assert any("in another order" in each for each in form.complaints(cells))


def test_those_in_a_hurry_need_their_line():
    cells = lesson()
    cells[0] = text("# 90 · Measures", form.MARK)
    assert form.complaints(cells) == ["no line that takes those with 15 minutes to the 60-second answer and the card"]


def test_minutes_are_reading_and_exercises_and_what_is_more_is_apart():
    cells = [text("word " * 1000, form.MARK), code(lines(300)), code(lines(900), "claim")]
    assert form.minutes(cells) == (15, 0) and form.say_minutes(cells) == "15 minutes"  # 1,000 / 200 + 300 / 30
    cells += [text("### Exercise 90.1 · f ●●○ 20 minutes"), text("### Exercise 90.2 · g ●●● 30 minutes · more")]
    assert form.minutes(cells) == (35, 30) and form.say_minutes(cells) == "35 minutes and 30 more"


def test_sources_and_solutions_are_no_reading():
    cells = [text("# 90"), text("word " * 1000 + "\n\n## 90.1 Sources\n\n" + "word " * 9000)]
    assert form.minutes(cells) == (5, 0)
