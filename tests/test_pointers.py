"""Where lessons, questions and terms point: what is built can be opened, what is planned says so."""

import re

import pytest

from course_lib.interview import answer, glossary
from course_lib.interview.questions import load_questions
from course_lib.lesson import pointers, syllabus
from course_lib.lesson.syllabus import Lesson, load_lessons

BUILT = [lesson for lesson in load_lessons() if lesson.built]
PLANNED = {lesson.number for lesson in load_lessons() if not lesson.built}


@pytest.fixture
def course(monkeypatch, tmp_path):
    """Four lessons of which 01 is planned, in a folder of their own."""
    monkeypatch.setattr(syllabus, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    lessons = [
        Lesson(f"0{n}", name, "", name.title(), "", "") for n, name in enumerate(("home", "maps", "oars", "sums"))
    ]
    for lesson in lessons:
        if lesson.number != "01":
            lesson.notebook.touch()
    monkeypatch.setattr(pointers, "load_lessons", lambda: lessons)
    return lessons


def cell(text):
    return f'# %% [markdown]\nr"""\n{text}\n"""\n'


def test_neighbours_that_are_planned_are_named_with_the_next_that_opens(course):
    assert pointers.say_neighbours("00") == "*Lessons:* next: 01 · Maps (planned), then [02 · Oars](02_oars.ipynb)"
    assert pointers.say_neighbours("02") == (
        "*Lessons:* [start page](00_home.ipynb) · previous: 01 · Maps (planned) · next: [03 · Sums](03_sums.ipynb)"
    )
    assert pointers.say_neighbours("03").endswith("· previous: [02 · Oars](02_oars.ipynb)")


def test_the_line_with_the_neighbours_is_brought_up_to_date_wherever_it_stands(course):
    source = cell("# 02 · Oars\n\n*Lessons:* old") + cell("*Lessons:*")
    line = pointers.say_neighbours("02")
    assert pointers.render(source, "02") == cell(f"# 02 · Oars\n\n{line}") + cell(line)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("see lesson 03.", "see [lesson 03](03_sums.ipynb)."),
        ("Lesson 01 says", "Lesson 01 (planned) says"),
        ("lesson 03 (planned) says", "[lesson 03](03_sums.ipynb) says"),
        ("[lesson 01](01_maps.ipynb)", "lesson 01 (planned)"),
        ("[lesson 03](03_sums.ipynb#3.2-Sums)", "[lesson 03](03_sums.ipynb#3.2-Sums)"),
        ("this is lesson 02", "this is lesson 02"),
    ],
)
def test_a_lesson_that_is_named_is_a_link_or_planned(course, before, after):
    assert pointers.render(cell(before), "02") == cell(after)
    assert pointers.render(cell(after), "02") == cell(after)  # nothing is added twice


def test_a_page_that_calls_lessons_planned_names_them():
    bank = [question for question in load_questions() if question.planned]
    for question in bank[:20]:
        expected = {ref.removeprefix("C")[:2] for ref in question.planned}
        assert pointers.called_planned(answer.as_markdown(question)) == expected
    terms = [term for term in glossary.load_glossary() if term.lesson in PLANNED]
    assert {frozenset(pointers.called_planned(glossary.as_markdown(term))) for term in terms} == {
        frozenset({term.lesson}) for term in terms
    }
    assert pointers.called_planned("see claim C07.2 in section 7.9, exercise 07.1 fuse, lesson 29") == set()


def test_code_is_left_alone(course):
    assert pointers.render("# %%\nx = 'lesson 01'\n", "02") == "# %%\nx = 'lesson 01'\n"


def test_a_lesson_that_is_not_in_the_list_is_refused(course):
    with pytest.raises(ValueError, match="lesson 02 names lesson 77; there are 00, 01, 02, 03"):
        pointers.render(cell("lesson 77"), "02")


def test_a_lesson_that_was_just_built_is_linked(course):
    source = pointers.render(cell("*Lessons:*\n\nlesson 01"), "02")
    course[1].notebook.touch()
    line = pointers.say_neighbours("02")
    assert "previous: [01 · Maps](01_maps.ipynb)" in line
    assert pointers.render(source, "02") == cell(f"{line}\n\n[lesson 01](01_maps.ipynb)")


def test_those_in_a_hurry_are_taken_to_the_sections_by_their_anchors(course):
    source = cell("*15 minutes:* old") + cell("## 2.9 The 60-second answer") + cell("## 2.11 Card")
    assert "*15 minutes:* [The 60-second answer](#2.9-The-60-second-answer) · [Card](#2.11-Card)\n" in pointers.render(
        source, "02"
    )


@pytest.mark.parametrize("lesson", BUILT, ids=lambda lesson: lesson.number)
def test_every_lesson_leads_home_and_on_at_both_ends(lesson):
    cells = re.split(r"^# %%", lesson.source.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    line = pointers.say_neighbours(lesson.number)
    assert line in cells[0] and line in cells[-1], f"put {pointers.MARKER} there and run notebooks/build.py"
    for target in re.findall(r"\]\(([^)#]+\.ipynb)", "".join(cells)):
        assert (lesson.notebook.parent / target).exists(), f"{lesson.source.name} links to {target}"


@pytest.mark.parametrize("lesson", BUILT, ids=lambda lesson: lesson.number)
def test_no_lesson_points_at_what_is_not_written(lesson):
    """Lists of lessons, claims, exercises and code, which the builder leaves alone."""
    text = re.sub(r"[Ll]esson \d\d \(planned\)", "", lesson.source.read_text(encoding="utf-8"))
    named = re.findall(r"[Ll]esson (\d\d)\b|\bC(\d\d)\.\d|[Ee]xercise (\d\d)\.\d", text)
    for group in re.findall(r"[Ll]essons ((?:\d\d(?:, | and | or | to )?)+)", text):
        named += [(number,) for number in re.findall(r"\d\d", group)]
    assert not {"".join(each) for each in named} & PLANNED


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_question_marks_the_exercise_of_a_lesson_that_is_not_written(language):
    bank = [question for question in load_questions() if question.exercise is not None]
    unwritten = {"en": "not written yet", "zh": "尚未完成"}[language]
    for write in (answer.as_markdown, answer.as_html, answer.as_text):
        for question in bank:
            line = next(line for line in re.split(r"\n|</?p>", write(question, language)) if question.exercise in line)
            assert (unwritten in line) == (question.exercise[:2] in PLANNED), line


def test_a_term_marks_its_lesson_when_it_is_not_written():
    for term in glossary.load_glossary():
        head = glossary.as_markdown(term).partition("\n")[0]
        assert (f"lesson {term.lesson} (planned)" in head) == (term.lesson in PLANNED), head


def test_no_question_or_term_names_a_lesson_that_is_not_written():
    texts = [answer.as_text(question, language) for question in load_questions() for language in ("en", "zh")]
    texts += [term.definition[language] for term in glossary.load_glossary() for language in ("en", "zh")]
    for text in texts:
        assert not set(re.findall(r"[Ll]esson (\d\d)\b", text)) & PLANNED, text
