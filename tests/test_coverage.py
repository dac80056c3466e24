"""What the bank covers: the rules on made-up records, then the bank itself, which has to cover everything."""

import re
from dataclasses import replace

import pytest

from course_lib import cli
from course_lib.interview import coverage
from course_lib.interview.coverage import (
    CANONICAL,
    MODERN,
    SubPoint,
    load_errata,
    load_sub_points,
    measure_coverage,
    report,
)
from course_lib.interview.evidence import Evidence
from course_lib.interview.questions import load_questions
from course_lib.interview.record import FollowUp, KeyPoint, Question, Text, WrongAnswer

POINTS = """\
Q001:
  - {point: scaling, said: [z-score, min-max]}
  - {point: both of them, said: [cat & dog]}
Q002:
  - {point: "words: a list", said: [word]}
"""
ERRATA = """\
id,starred,error,lesson
X001,yes,"One, and more",02
X002,no,Two,03
"""
CLAIM, PLANNED, PAPER = Evidence("C02.1", "a.ipynb"), Evidence("C03.1", planned=True), Evidence("arXiv:1234.56789", "u")


def words(text):
    return Text(text, "中")


def record(id, covers, *, answer="Nothing.", key="Nothing.", follow_up="Nothing.", errata=()):
    return Question(
        id=id,
        depth="screen",
        lesson="02",
        question=words("What about cat, dog, z-score and word?"),  # the question is not the answer
        answer=words(answer),
        key_points=(KeyPoint("Something else.", "中", (PAPER,)), KeyPoint(key, "中", (CLAIM, PLANNED))),
        follow_ups=(FollowUp(words("And?"), words(follow_up)),),
        wrong_answer=WrongAnswer(words("It is so."), words("It is not."), (PAPER,), errata),
        exercise=None,
        tags=("t",),
        covers=covers,
        source="one.yaml:1",
    )


@pytest.fixture
def root(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sub_points.yaml").write_text(POINTS, encoding="utf-8")
    (tmp_path / "datasets" / "errata.csv").write_text(ERRATA, encoding="utf-8")
    return tmp_path


def rows(root, *bank):
    return {row.point.point: row for row in measure_coverage(list(bank), root=root).rows}


def test_a_point_is_covered_when_it_is_listed_and_said(root):
    found = rows(root, record("Q001", ("scaling",), key="Take the z-score."))["scaling"]
    assert found.by == ("Q001",)
    assert found.evidence == (CLAIM, PLANNED)  # of the key point that says it
    assert found.missing == ""


def test_what_only_a_follow_up_says_rests_on_the_whole_record(root):
    found = rows(root, record("Q001", ("scaling",), follow_up="Min–max, with a dash."))["scaling"]
    assert found.evidence == (PAPER, CLAIM, PLANNED)


def test_a_wrong_answer_that_says_it_brings_its_own_evidence(root):
    wrong = WrongAnswer(words("The z-score does it."), words("No."), (PLANNED,))
    found = rows(root, replace(record("Q001", ("scaling",)), wrong_answer=wrong))["scaling"]
    assert found.evidence == (PLANNED,)


@pytest.mark.parametrize(
    "bank, reason",
    [
        ([], "no record Q001"),
        ([record("Q001", (), key="z-score")], "not under covers of Q001"),
        ([record("Q001", ("scaling",))], "Q001 lists it and says none of: z-score, min-max"),
        ([record("Q002", ("scaling",), key="z-score")], "no record Q001"),  # another question's list is not meant
    ],
)
def test_a_missing_point_says_why(root, bank, reason):
    found = rows(root, *bank)["scaling"]
    assert (found.by, found.missing) == ((), reason)


def test_another_question_covers_a_point_under_its_question(root):
    found = rows(root, record("Q001", ()), record("Q102", ("Q001: scaling",), answer="min-max"))["scaling"]
    assert found.by == ("Q102",)


@pytest.mark.parametrize(
    "text, said",
    [
        ("A cat, and\na DOG.", True),
        ("A cat alone.", False),
        ("Concatenated dogs.", False),  # "cat" starts no word
        ("$cat_{dog}$", False),
        ("$cat$ and $\\mathrm{dog}$", False),
        ("Cats: $dog$s", True),
    ],
)
def test_words_are_found_from_their_start(text, said):
    assert SubPoint("Q001", "both", ("cat & dog",)).is_said_in(text) is said


def test_a_formula_says_its_letters():
    assert SubPoint("Q036", "L1", ("l1",)).is_said_in("The $L_1$ penalty")


def test_covers_and_errata_that_no_list_knows_are_strays(root):
    bank = [record("Q001", ("scale", "Q002: scaling"), errata=("X001", "X9"))]
    found = measure_coverage(bank, root=root)
    assert found.strays == (
        "one.yaml:1: Q001 covers 'scale', no sub-point of Q001",
        "one.yaml:1: Q001 covers 'scaling', no sub-point of Q002",
        "one.yaml:1: Q001 refutes X9, not in errata.csv",
    )
    assert found.refuted == {"X001": ("Q001",), "X002": ()}


def everything():
    first = record("Q001", ("scaling", "both of them"), key="z-score of cat and dog", errata=("X001",))
    modern = [record(id, ()) for id in MODERN]
    return [first, record("Q002", ("words: a list",), answer="A word."), *modern]


def test_it_is_complete_only_with_everything(root):
    whole = everything()
    assert measure_coverage(whole, root=root).complete
    assert not measure_coverage(whole[1:], root=root).complete  # no points of Q001
    assert not measure_coverage(whole[:-1], root=root).complete  # no Q160
    assert not measure_coverage([replace(whole[0], covers=(*whole[0].covers, "x")), *whole[1:]], root=root).complete
    silent = replace(whole[0], wrong_answer=replace(whole[0].wrong_answer, errata=("X002",)))
    assert not measure_coverage([silent, *whole[1:]], root=root).complete  # X001 is starred


def test_the_report_names_what_is_covered_and_what_is_missing(root):
    bank = [record("Q001", ("scaling", "both of them"), key="z-score")]
    text = report(measure_coverage(bank, root=root))
    assert "Q001  1 of 2" in text
    assert "  ✓ scaling: Q001; C02.1, C03.1 (planned)" in text
    assert "  ✗ both of them: Q001 lists it and says none of: cat & dog" in text
    assert "Q102  modern question, missing" in text
    assert "X001  lesson 02, no wrong answer refutes: One, and more" in text
    assert "X002" not in text  # not starred
    assert re.search(r"sub-points +1 of 3, 33\.3%", text)
    assert "✓" not in report(measure_coverage(bank, root=root), missing_only=True)


@pytest.mark.parametrize("bank, status", [(everything(), 0), (everything()[1:], 1)])
def test_the_command_fails_below_everything(root, monkeypatch, capsys, bank, status):
    found = measure_coverage(bank, root=root)
    monkeypatch.setattr(coverage, "measure_coverage", lambda: found)
    assert cli.main(["coverage", "--missing"]) == status
    assert "sub-points" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, message",
    [
        ("Q001:\n  - {point: a, said: []}", "needs point and said"),
        (POINTS.replace("both of them", "scaling"), "stands twice"),
    ],
    ids=["nothing said", "twice"],
)
def test_a_wrong_list_is_refused(root, text, message):
    (root / "datasets" / "sub_points.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_sub_points(root)


# --- the course's own lists and bank -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank():
    return load_questions()


@pytest.fixture(scope="module")
def measured(bank):
    return measure_coverage(bank)


def test_the_lists_are_whole():
    points, errata = load_sub_points(), load_errata()
    assert tuple(points) == CANONICAL
    assert all(len(listed) >= 2 for id, listed in points.items() if id != "Q068")
    assert len(errata) == 202
    assert sum(each.starred for each in errata.values()) == 115
    assert all(re.fullmatch(r"X\d{3}[a-e]?", id) for id in errata)
    assert all(re.fullmatch(r"0[1-9]|[12]\d|3[0-2]", each.lesson) for each in errata.values())


def test_what_has_to_be_said_is_lower_case_english():
    for listed in load_sub_points().values():
        for point in listed:
            assert all(word == word.lower().strip() and "–" not in word for word in point.said), point


def test_nothing_is_astray(measured):
    assert measured.strays == ()


@pytest.mark.parametrize("id", CANONICAL)
def test_every_sub_point_of_a_seed_question_is_covered(measured, id):
    assert [f"{row.point.point}: {row.missing}" for row in measured.open_points if row.point.question == id] == []


@pytest.mark.parametrize("id", CANONICAL)
def test_a_seed_question_names_its_seeds(bank, id):
    assert [each.seeds for each in bank if each.id == id and each.seeds]


def test_every_modern_question_is_there(measured):
    assert measured.open_modern == []


def test_every_starred_error_is_a_wrong_answer(measured):
    assert [each.id for each in measured.open_errata] == []
