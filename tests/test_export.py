"""The Anki package opens, holds every question once, and a second export is the same notes under the same ids."""

import functools
import json
import re
import sqlite3
import zipfile
from dataclasses import replace

import pytest

from course_lib import cli
from course_lib.interview import page
from course_lib.interview.cards import COURSE, FIELDS, MODEL, POINT_FIELDS, POINT_MODEL, guid, mathjax
from course_lib.interview.export import write_anki
from course_lib.interview.page import load_parts, text_html
from course_lib.interview.questions import load_questions as read_questions
from course_lib.interview.record import Text

load_questions = functools.cache(read_questions)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(page, "load_questions", load_questions)


def open_package(path, folder):
    """Notes by guid, and the decks of the package's collection."""
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        package.extract("collection.anki2", folder)
    with sqlite3.connect(folder / "collection.anki2") as collection:
        notes = collection.execute("SELECT guid, mid, tags, flds FROM notes").fetchall()
        decks = json.loads(collection.execute("SELECT decks FROM col").fetchone()[0])
        cards = collection.execute("SELECT count(*), count(DISTINCT nid) FROM cards").fetchone()
    assert len({note[0] for note in notes}) == len(notes) == cards[0] == cards[1]  # one card a note
    return {note[0]: note[1:] for note in notes}, {deck["id"]: deck["name"] for deck in decks.values()}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anki")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "load_questions", load_questions)
        assert write_anki(folder / "deep" / "course.apkg") == len(load_questions())
    return open_package(folder / "deep" / "course.apkg", folder)


def test_every_question_is_a_note_with_both_languages(package):
    notes, _ = package
    assert set(notes) == {guid(question.id) for question in load_questions()}
    for question in load_questions():
        model, tags, fields = notes[guid(question.id)]
        values = dict(zip(FIELDS, fields.split("\x1f"), strict=True))
        assert model == MODEL.model_id
        assert values["Id"] == question.id
        assert values["Question"] == text_html(question.question.en, mathjax)
        assert text_html(question.answer.en, mathjax) in values["Answer"]
        assert text_html(question.answer.zh, mathjax) in values["回答"]
        for part in (*question.key_points, *(each.answer for each in question.follow_ups)):
            assert text_html(part.en, mathjax) in values["Answer"] and text_html(part.zh, mathjax) in values["回答"]
        assert {f"lesson-{question.lesson}", question.depth} < set(tags.split())


def test_formulas_are_mathjax_and_nothing_else_is_markup(package):
    for _, _, fields in package[0].values():
        assert "$" not in fields
        assert fields.count(r"\(") == fields.count(r"\)")
        assert set(re.findall(r"</?([^\s>/]+)", fields)) <= {"p", "b", "ul", "li", "span", "h4", "a"}
        assert set(re.findall(r"<a ([^>]*)>[^<]", fields)) == set(re.findall(r'<a (href="https://[^"]*")>', fields))
    assert text_html("If $a_1 < b$ & c > d", mathjax) == r"If \(a_1 &lt; b\) &amp; c &gt; d"


def test_a_formula_that_never_closes_is_refused():
    with pytest.raises(ValueError, match="opens and never closes"):
        text_html("costs 5 $", mathjax)


def test_one_deck_a_lesson_below_its_part(package):
    _, decks = package
    names = [name for name in decks.values() if name.startswith(COURSE)]
    assert len(names) == len({question.lesson for question in load_questions()})
    assert f"{COURSE}::Part 2 · Representation and fusion::07 · Fusing modalities" in names


def test_a_second_export_keeps_every_id_although_a_text_changed(package, tmp_path, monkeypatch):
    first = load_questions()[0]
    changed = [replace(first, question=Text("New words?", "新词？")), *load_questions()[1:]]
    monkeypatch.setattr(page, "load_questions", lambda: changed)
    write_anki(tmp_path / "again.apkg")
    notes, decks = open_package(tmp_path / "again.apkg", tmp_path)
    assert set(notes) == set(package[0])
    assert decks == package[1]
    assert "New words?" in notes[guid(first.id)][2]
    assert {key for key, note in notes.items() if note != package[0][key]} == {guid(first.id)}


def test_ids_are_the_ones_that_learners_have_imported():
    """Written down once: if one of these changes, every learner's reviews are lost at the next import."""
    assert (guid("Q004"), MODEL.model_id) == ("EO[fCH*{j@", 1607392319)
    assert (guid("Q004", 2), POINT_MODEL.model_id) == ("xR2ec[YXF[", 1607392320)


# --- a part of the bank, one language, one key point a card -----------------------------------------------------------


def export(folder, name="some.apkg", **choice):
    count = write_anki(folder / name, **choice)
    notes, decks = open_package(folder / name, folder)
    assert count == len(notes)
    return notes, [deck for deck in decks.values() if deck.startswith(COURSE)]


HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(("language", "other"), [("en", "zh"), ("zh", "en")])
def test_one_language_on_a_card_and_the_same_notes(language, other, package, tmp_path):
    notes, _ = export(tmp_path, language=language)
    assert set(notes) == set(package[0])  # a later import updates them
    for question in load_questions():
        _, _, fields = notes[guid(question.id)]
        values = dict(zip(FIELDS, fields.split("\x1f"), strict=True))
        assert text_html(question.question[language], mathjax) in values["Question"]
        assert text_html(question.answer[language], mathjax) in values["Answer"]
        assert values["问题"] == values["回答"] == ""
        assert text_html(question.question[other], mathjax) not in fields
        assert text_html(question.answer[other], mathjax) not in fields
        assert ('lang="zh-Hans"' in fields) == (language == "zh")


def test_lessons_and_depth_choose_questions(tmp_path):
    notes, decks = export(tmp_path, lessons=["09", "07"], depth="onsite")
    wanted = {q.id for q in load_questions() if q.lesson in ("07", "09") and q.depth == "onsite"}
    assert 5 < len(wanted) < 40 and set(notes) == {guid(id) for id in wanted}
    assert [deck.rpartition("::")[2][:2] for deck in decks] == ["07", "09"]


@pytest.mark.parametrize("language", ["en", "zh", "both"])
def test_one_key_point_a_card_with_those_before_it_in_view(language, tmp_path):
    notes, _ = export(tmp_path, language=language, lessons=["07"], cards="points")
    questions = load_questions("07")
    assert len(notes) == sum(len(question.key_points) for question in questions)
    for question in questions:
        for number, point in enumerate(question.key_points, 1):
            model, tags, fields = notes[guid(question.id, number)]
            values = dict(zip(POINT_FIELDS, fields.split("\x1f"), strict=True))
            assert model == POINT_MODEL.model_id and "key-point" in tags.split()
            assert values["Place"] == f"{number} / {len(question.key_points)}"
            for each, shown, before in (("en", "Point", "Before"), ("zh", "要点", "之前")):
                if language not in (each, "both"):
                    continue
                if language == "zh":
                    shown, before = "Point", "Before"
                assert text_html(point[each], mathjax) in values[shown]
                assert values[before].count("<li>") == number - 1
                assert text_html(point[each], mathjax) not in values[before]
    everything = "".join(note[2] for note in notes.values())
    assert everything.count(r"\(") == everything.count(r"\)") > 5 and "$" not in everything
    assert bool(HAN.search("".join(notes[guid(questions[0].id, 1)][2].split("\x1f")))) == (language != "en")


def test_key_points_and_questions_live_side_by_side(package, tmp_path):
    points, decks = export(tmp_path, cards="points")
    assert not set(points) & set(package[0])
    assert set(decks) <= set(package[1].values())
    again, _ = export(tmp_path, "again.apkg", cards="points", language="en")
    assert set(again) == set(points)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"language": "fr"}, "language 'fr' is none of en, zh, both"),
        ({"cards": "half"}, "cards 'half' are none of questions, points"),
        ({"lessons": ["07", "99"]}, "no question for lesson '99'; the bank has questions for 01?"),
        ({"lessons": ["07"], "depth": "deep"}, "no question of depth 'deep' there; there are screen, onsite"),
    ],
)
def test_a_choice_that_nothing_fits_is_refused_and_writes_no_file(choice, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_anki(tmp_path / "none.apkg", **choice)
    assert list(tmp_path.iterdir()) == []


def test_parts_have_all_questions_and_their_numbers():
    parts = load_parts()
    found = [question.id for part in parts for _, questions in part.lessons for question in questions]
    assert sorted(found) == sorted(question.id for question in load_questions())
    assert {part.number: part.title for part in parts}[4] == "Optimisation and regularisation"


def test_the_command(tmp_path, capsys):
    out = tmp_path / "x.apkg"
    assert cli.main(["export", "anki", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: {len(load_questions())} notes\n"
    assert zipfile.is_zipfile(out)
    some = ["--language", "zh", "--lesson", "07", "--lesson", "09", "--depth", "staff", "--cards", "points"]
    assert cli.main(["export", "anki", "--out", str(out), *some]) == 0
    staff = [q for q in load_questions() if q.lesson in ("07", "09") and q.depth == "staff"]
    assert capsys.readouterr().out == f"{out}: {sum(len(each.key_points) for each in staff)} notes\n"
    assert cli.main(["export", "anki", "--out", str(out / "below")]) == 2  # a file is in the way
    assert "x.apkg" in capsys.readouterr().err
