"""The question bank: records refused with file and line, both languages saying the same, and the view of them."""

import importlib
import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from html import escape

import nbformat
import pytest

from course_lib.interview import show
from course_lib.interview.answer import as_html, as_markdown
from course_lib.interview.evidence import find_evidence, scan_targets
from course_lib.interview.questions import ROOT, QuestionError, load_questions
from course_lib.interview.record import DEPTHS, LANGUAGES, Question, Text
from course_lib.interview.show import QuestionView, show_questions
from course_lib.lesson.cell import cell_id
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.syllabus import load_lessons

RECORD = """\
- id: Q901
  depth: onsite
  lesson: "42"
  question:
    en: Is 2 < 3?
    zh: 2 比 3 小吗？
  answer: {en: "Yes, $2 < 3$.", zh: "是的，$2 < 3$。"}
  key_points:
    - en: Counting shows it.
      zh: 数一数就知道。
      evidence: [C42.1, "arXiv:1702.01992"]
  follow_ups:
    - question: {en: And 4?, zh: 那 4 呢？}
      answer: {en: Larger., zh: 更大。}
  wrong_answer:
    statement: {en: They are equal., zh: 两者相等。}
    why: {en: They differ by one., zh: 相差一。}
    evidence: [C42.1]
  exercise: 42.1 count
  tags: [numbers]
"""
LESSON = """\
# %% [markdown]
r\"""
# 42 · Numbers

## 42.1 Counting `things`
\"""
# %%
# 0.5 of a thing, and ## 42.3 in a comment, are no headings
claim("C42.1", "Two is less than three", 2 < 3)
# %% [markdown]
# ## 42.2 Later
# %%
claim(
    "C42.2", "Three is less than four", 3 < 4)
"""
CELL = cell_id(LESSON.split("# %%\n")[1].partition("\n# %%")[0])
BANK = load_questions()


def repository(tmp_path, record=RECORD, lesson=None, exercises=None, **files):
    """A repository in miniature: question files, and a lesson and its exercises where given."""
    texts = {"datasets/questions/one.yaml": record}
    texts |= {f"datasets/questions/{name}.yaml": text for name, text in files.items()}
    texts["notebooks/src/42_numbers.py"] = lesson
    texts["course_lib/exercises/lesson_42.py"] = exercises
    for name, text in texts.items():
        if text is not None:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return tmp_path


def changed(old, new):
    assert RECORD.count(old) == 1, old
    return RECORD.replace(old, new)


WRONG_RECORDS = {
    "unknown key": (changed("  tags:", "  tag:"), 20, "unknown key 'tag' in question; the keys are id, depth"),
    "unknown inner key": (changed("      evidence", "      proof"), 11, "unknown key 'proof' in question.key_points"),
    "key of the loader": (changed("  tags:", "  planned: [C42.1]\n  tags:"), 20, "unknown key 'planned'"),
    "double key": (changed("  tags:", "  depth: staff\n  tags:"), 20, "'depth' stands twice"),
    "missing field": (changed("  exercise: 42.1 count\n", ""), 1, "question is incomplete: add exercise"),
    "missing translation": (changed(", zh: 更大。", ""), 14, "question.follow_ups.answer lacks a translation: add zh"),
    "untranslated": (changed("zh: 相差一。", "zh: They differ."), 17, "question.wrong_answer.why lacks a translation"),
    "empty text": (changed("en: Larger.", "en: ''"), 14, "question.follow_ups.answer.en holds no text"),
    "empty list": (changed("[numbers]", "[]"), 20, "question.tags is not a list with entries"),
    "text for a list": (changed("[numbers]", "numbers"), 20, "question.tags is not a list"),
    "text for a record": (changed("{en: Larger., zh: 更大。}", "Larger."), 14, "is not a mapping; it needs en, zh"),
    "depth": (changed("onsite", "hard"), 2, "question.depth is 'hard'; it must be one of screen, onsite, staff"),
    "id": (changed("Q901", "Q9"), 1, "id 'Q9' is not Q and three digits"),
    "lesson": (changed('"42"', "4"), 3, "lesson '4' is not two digits"),
    "evidence form": (changed("evidence: [C42.1]", "evidence: [Smith 2019]"), 18, "'Smith 2019' has no known form"),
    "arXiv form": (changed('"arXiv:1702.01992"', '"arXiv:1702"'), 11, "'arXiv:1702' has no known form"),
    "exercise form": (changed("42.1 count", "count"), 19, "exercise 'count' is not an id"),
    "not YAML": (changed("en: Is 2 < 3?", "en: Is this: less?"), 5, "not YAML"),
    "not a list": ("id: Q901\n", 1, "the file is not a list"),
    "two of one id": (RECORD + RECORD, 21, "Q901 is already the id of one.yaml:1"),
}


@pytest.mark.parametrize("record, line, message", WRONG_RECORDS.values(), ids=WRONG_RECORDS)
def test_a_wrong_record_is_refused_with_file_and_line(tmp_path, record, line, message):
    with pytest.raises(QuestionError) as caught:
        load_questions(root=repository(tmp_path, record))
    assert str(caught.value).startswith(f"one.yaml:{line}: ")
    assert message in str(caught.value)


def test_an_id_is_refused_across_files(tmp_path):
    with pytest.raises(QuestionError, match=r"two\.yaml:1: Q901 is already the id of one\.yaml:1"):
        load_questions(root=repository(tmp_path, two=RECORD))


def test_references_into_an_unwritten_lesson_are_planned(tmp_path):
    (question,) = load_questions("42", root=repository(tmp_path))
    assert question.planned == ("C42.1", "42.1 count")
    assert question.section is None
    assert question.source == "one.yaml:1"
    assert "claim C42.1, in a lesson not written yet" in as_markdown(question)


def test_a_claim_cell_that_begins_with_blank_lines_has_the_id_that_its_notebook_gives_it(tmp_path):
    lesson = LESSON.replace("# %%\nclaim(", "# %%\n\n\nclaim(")
    folder = repository(tmp_path, lesson=lesson)
    (path,) = (folder / "notebooks" / "src").glob("42_*.py")
    builder = runpy.run_path(str(ROOT / "notebooks" / "build.py"))
    built = [cell.id for cell in builder["read_source"](path).cells if '"C42.2"' in cell.source]
    assert [scan_targets(folder)["42"].claims["C42.2"].cell] == built


def test_references_into_a_written_lesson_are_resolved(tmp_path):
    root = repository(tmp_path, lesson=LESSON, exercises='count = Exercise(\n    id="42.1 count",\n)\n')
    (question,) = load_questions("42", root=root)
    claim, paper = question.key_points[0].evidence
    assert question.planned == ()
    assert question.section == "42.1"
    assert (claim.section, claim.url) == ("42.1 Counting things", f"42_numbers.ipynb#cell-id={CELL}")
    assert paper.url == "https://arxiv.org/abs/1702.01992"
    assert f"[see claim C42.1 in section 42.1]({claim.url})" in as_markdown(question)
    assert re.search(f'<a href="{claim.url}"[^>]*>见 42.1 节的论断 C42.1</a>', as_html(question, "zh"))


def test_a_link_names_the_cell_that_the_built_lesson_has(tmp_path):
    """Of every claim of every lesson; a cell's id is computed from its text."""
    targets, found = scan_targets(ROOT), 0
    for lesson in load_lessons():
        cells = nbformat.read(lesson.notebook, as_version=4).cells if lesson.built else []
        text = {cell.id: cell.source for cell in cells}
        for claim, place in (targets[lesson.number].claims or {}).items() if lesson.built else ():
            assert re.search(rf"""claim\(\s*"{claim}\"""", text[place.cell]), f"rebuild {lesson.notebook.name}"
            found += 1
    assert found > 100


@pytest.mark.parametrize(
    "record, line, message",
    [
        (changed("evidence: [C42.1]", "evidence: [C42.7]"), 18, "claim C42.7 is in no cell of 42_numbers.ipynb"),
        (changed("42.1 count", "42.1 recount"), 19, "lesson_42; there is 42.1 count"),
        (changed("  tags:", "  section: '42.9'\n  tags:"), 20, "has no section '42.9'; it has ['42.1', '42.2']"),
    ],
)
def test_a_dangling_reference_is_refused_once_the_lesson_is_written(tmp_path, record, line, message):
    root = repository(tmp_path, record, lesson=LESSON, exercises='count = Exercise(id="42.1 count")\n')
    with pytest.raises(QuestionError) as caught:
        load_questions(root=root)
    assert str(caught.value).startswith(f"one.yaml:{line}: ")
    assert message in str(caught.value)


def test_every_claim_call_is_found_under_its_heading(tmp_path):
    targets = scan_targets(repository(tmp_path, lesson=LESSON))
    assert {claim: place.section for claim, place in targets["42"].claims.items()} == {
        "C42.1": "42.1 Counting things",
        "C42.2": "42.2 Later",
    }
    assert find_evidence("C42.2", targets).section == "42.2 Later"


@pytest.mark.parametrize(
    "ref, url",
    [
        ("doi:10.1109/34.667881", "https://doi.org/10.1109/34.667881"),
        ("scikit-learn, scaling <https://scikit-learn.org/a>", "https://scikit-learn.org/a"),
    ],
)
def test_sources_have_an_address(ref, url):
    assert find_evidence(ref, {}).url == url


def test_a_lesson_without_questions_is_refused():
    with pytest.raises(ValueError, match="no question for lesson '99'; the bank has questions for"):
        load_questions("99")


# --- the bank itself ---------------------------------------------------------------------------------------------

OF_FUSION = ["Q003", "Q004", "Q005", "Q006", "Q018"]
MODERN_AND_OWN = ["Q109", "Q110", "Q201", "Q202", "Q203", "Q204"]


def everything(question: Question) -> list[Text]:
    pairs = [text for each in question.follow_ups for text in (each.question, each.answer)]
    wrong = [text for each in question.wrong_answers for text in (each.statement, each.why)]
    return [question.question, question.answer, *question.key_points, *pairs, *wrong]


@pytest.fixture(params=BANK, ids=lambda question: question.id)
def question(request):
    return request.param


def test_the_bank_has_the_questions_of_lesson_07():
    fusion = {each.id: each for each in BANK if each.lesson == "07"}
    assert sorted(fusion) == sorted([*OF_FUSION, *MODERN_AND_OWN])
    assert {each.depth for each in fusion.values()} == set(DEPTHS)


def test_every_reference_resolves_or_is_planned(question):
    targets = scan_targets(ROOT)
    for evidence in question.evidence:
        written = targets.get(evidence.ref[1:3]) if evidence.is_claim else None
        assert evidence.planned == (evidence.is_claim and (written is None or written.claims is None)), evidence.ref
        assert evidence.planned or evidence.url, evidence.ref


def test_exercise_ids_are_those_of_the_imported_module(question):
    if question.exercise is None or question.exercise in question.planned:
        return
    module = importlib.import_module(f"course_lib.exercises.lesson_{question.exercise[:2]}")
    assert question.exercise in [each.id for each in vars(module).values() if isinstance(each, Exercise)]


@pytest.mark.parametrize(
    "pattern",
    [r"\d+(?:[.,]\d+)*", r"\$[^$]+\$", r"C\d\d\.\d+", r"\d{4}\.\d{4,5}", r"\b[A-Z][A-Za-z]*[A-Z]\w*"],
    ids=["numbers", "formulas", "claims", "arXiv ids", "named methods"],
)
def test_both_languages_say_the_same(question, pattern):
    for text in everything(question):
        # \b does not separate a Chinese character from a Latin letter, so they are put apart first
        zh = re.sub(r"([\u3000-\u9fff\uff00-\uffef])", r" \1 ", text.zh)
        assert Counter(re.findall(pattern, text.en)) == Counter(re.findall(pattern, zh)), text.en


def test_an_answer_takes_a_minute(question):
    assert 110 <= len(question.answer.en.split()) <= 170
    assert 160 <= len(re.findall(r"[\u4e00-\u9fff]", question.answer.zh)) <= 330


def test_a_record_is_rich_enough_to_practise_with(question):
    assert len(question.key_points) >= 3
    assert len(question.follow_ups) >= 2
    assert any(e.is_claim for e in question.evidence) and any(not e.is_claim for e in question.evidence)


def test_text_is_plain(question):
    for text in everything(question):
        for language in LANGUAGES:
            outside_formulas = re.sub(r"\$[^$]+\$", "", text[language])
            assert not re.search(r"[`*<>$_]|https?:", outside_formulas), outside_formulas


# --- showing it --------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """What show_questions hands to the notebook."""
    displayed = []
    monkeypatch.setattr(show, "display", displayed.append)
    return displayed


def test_a_built_notebook_gets_markdown_with_every_answer(shown, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    show_questions("07")
    (page,) = (markdown.data for markdown in shown)
    for each in load_questions("07"):
        assert all(text.en in page for text in everything(each))
        assert each.question.zh in page
        assert each.answer.zh not in page
        assert all(f"[{e.ref}]({e.url})" in page for e in each.evidence if not e.is_claim)
    assert "<" not in re.sub(r"\$[^$]+\$", "", page)  # no HTML
    assert [page.index(f"· {depth} ·") for depth in DEPTHS] == sorted(page.index(f"· {depth} ·") for depth in DEPTHS)
    assert len(page.encode()) < 60_000


def test_chinese_answers_come_as_a_second_block(shown, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    show_questions("07", language="zh")
    english, chinese = (markdown.data for markdown in shown)
    answers = [each.answer for each in load_questions("07")]
    assert all(answer.en in english and answer.zh in chinese for answer in answers)


def test_markdown_does_not_depend_on_the_process():
    code = (
        "import sys; from course_lib.interview.questions import load_questions; "
        "from course_lib.interview.answer import as_markdown; "
        "sys.stdout.buffer.write('\\n'.join(as_markdown(q, 'zh') for q in load_questions()).encode())"
    )
    other = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True)
    assert other.stdout.decode() == "\n".join(as_markdown(each, "zh") for each in BANK)


def test_markdown_of_chosen_parts():
    page = as_markdown(BANK[0], parts=("answer",))
    assert BANK[0].answer.en in page
    assert BANK[0].key_points[0].en not in page
    with pytest.raises(ValueError, match="no part .'hint'. of an answer; there are answer, key_points"):
        as_markdown(BANK[0], parts=("hint",))


def test_html_is_escaped(tmp_path):
    (record,) = load_questions(root=repository(tmp_path))
    page = as_html(record)
    assert "Is 2 &lt; 3?" in page and "$2 &lt; 3$" in page
    assert not re.search(r"<\s", page)


def test_every_wrong_answer_of_a_record_is_shown_and_counts_as_evidence(tmp_path):
    second = """\
  more_wrong_answers:
    - statement: {en: Three is smaller., zh: 三更小。}
      why: {en: It follows two., zh: 三在二之后。}
      evidence: ["arXiv:2209.03430"]
"""
    (record,) = load_questions(root=repository(tmp_path, RECORD + second))
    assert [each.statement.en for each in record.wrong_answers] == ["They are equal.", "Three is smaller."]
    assert record.evidence[-1].ref == "arXiv:2209.03430"
    page = as_markdown(record)
    assert page.index("They differ by one.") < page.index("It follows two.")


def test_an_unknown_language_is_refused(shown):
    for call in (
        lambda: show_questions("07", "fr"),
        lambda: as_markdown(BANK[0], "fr"),
        lambda: QuestionView(BANK, "fr"),
    ):
        with pytest.raises(ValueError, match="language 'fr' is not in the bank; try one of en, zh"):
            call()
    assert shown == []


def test_the_live_view_is_displayed_when_the_notebook_is_not_built(monkeypatch):
    published = []
    monkeypatch.setattr(show, "publish", lambda widget, *, html: published.append((widget, html)))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    show_questions("07")
    ((view, saved),) = published
    names = [type(each).__name__ for each in [view, *view.children, *view.children[0].children]]
    assert names == ["VBox", "HBox", "HTMLMath", "Button", "HTML", "Button", "Button", "ToggleButtons"]
    entries = re.findall(r"<details><summary><b>(.*?)</b></summary>(.*?)</details>", saved)
    questions = sorted(load_questions("07"), key=lambda each: DEPTHS.index(each.depth))
    assert [asked for asked, _ in entries] == [escape(each.question.en) for each in questions]
    assert all(escape(each.answer.en) in answer for each, (_, answer) in zip(questions, entries, strict=True))


def test_the_answer_stays_hidden_until_reveal_is_pressed():
    view, first = QuestionView(BANK), BANK[0]
    assert first.question.en in view.page.value
    assert first.key_points[0].en not in view.page.value
    view.reveal.click()
    for text in (first.key_points[0].en, first.follow_ups[0].answer.en, first.wrong_answer.why.en):
        assert escape(text) in view.page.value
    assert view.reveal.description == "Hide"
    view.reveal.click()
    assert first.key_points[0].en not in view.page.value


def test_the_next_question_starts_hidden_and_the_ends_are_ends():
    view = QuestionView(BANK[:2])
    assert (view.previous.disabled, view.next.disabled) == (True, False)
    view.reveal.click()
    view.next.click()
    assert BANK[1].question.en in view.page.value
    assert BANK[1].key_points[0].en not in view.page.value
    assert view.position.value == "2 / 2"
    assert (view.previous.disabled, view.next.disabled) == (False, True)
    view.next.click()  # a stale click must not run past the end
    assert view.position.value == "2 / 2"
    view.previous.click()
    assert BANK[0].question.en in view.page.value


def test_switching_the_language_keeps_the_answer_open():
    view = QuestionView(BANK)
    view.reveal.click()
    view.language.value = "zh"
    assert BANK[0].key_points[0].zh in view.page.value
    assert BANK[0].key_points[0].en not in view.page.value
    assert view.reveal.description == "隐藏答案"
