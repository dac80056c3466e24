"""Progress counts what the log holds, names what is weak, and draws the same numbers."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib
import pytest
from wcwidth import width

from course_lib import cli
from course_lib.interview import progress as module
from course_lib.interview.progress import (
    STATES,
    Standing,
    by_lesson,
    draw_progress,
    due_by_day,
    list_exercises,
    progress,
    read_standing,
    say_progress,
    state_of,
)
from course_lib.interview.questions import load_questions
from course_lib.interview.schedule import cards_of
from course_lib.learner.log import Entry, note
from course_lib.learner.repair import Aside
from course_lib.learner.standing import count
from course_lib.learner.store import Request, Review, ReviewStore

matplotlib.use("Agg")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PATTERN = load_questions()[0]
BANK = [replace(PATTERN, id=f"Q00{number}", lesson=f"0{1 + number % 2}") for number in range(1, 7)]
LOG = [
    Review("Q001", 4, NOW - timedelta(days=1)),  # known, due in a week
    Review("Q002", 3, NOW - timedelta(minutes=5)),  # learning, due in five minutes
    Review("Q003", 1, NOW - timedelta(days=3)),  # weak, overdue
    Review("Q004", 1, NOW - timedelta(days=9)),
    Review("Q004", 2, NOW - timedelta(days=9)),  # weak, overdue
]
CARDS = cards_of(BANK, LOG, [Request("Q005", "mock: no number", NOW)])
EXERCISES = ["07.1 fuse", "07.2 gate", "09.1 attend"]
DONE = [
    Entry("check", "07.1 fuse", NOW, {"passed": False}),
    Entry("check", "07.1 fuse", NOW, {"passed": True}),
    Entry("check", "09.1 attend", NOW, {"passed": True}),
    Entry("bet", "C12.4", NOW, {"won": True}),
    Entry("bet", "C12.5", NOW, {"won": False}),
]
ASIDE = Aside(Path("reviews.damaged-x.sqlite3"), NOW)
STANDING = Standing(CARDS, NOW, ["Q999"], "", count(DONE, EXERCISES)._replace(damaged=(ASIDE,)))


def test_states_and_lessons():
    assert [state_of(card) for card in CARDS] == ["known", "learning", "weak", "weak", "weak", "not met"]
    assert by_lesson(CARDS) == {
        "01": Counter({"learning": 1, "weak": 1, "not met": 1}),
        "02": Counter({"known": 1, "weak": 2}),
    }


def test_what_comes_due_on_each_day():
    expected = [0] * 14
    for card in CARDS:
        if card.due is not None:
            expected[max(0, (card.due - NOW).days)] += 1
    assert due_by_day(CARDS, NOW) == expected
    assert expected[0] == 4 and sum(expected) == 5


def test_the_text():
    text = say_progress(STANDING)
    assert text.startswith("3 of 6 due now; 1 known, 1 learning, 3 weak, 1 not met\nnext in 5 min; 2 due within 7 days")
    assert "Q005  lesson 02  asked for: mock: no number;" in text
    assert "Q004  lesson 01  last time hard, forgotten 1 of 2;" in text
    assert "reviews of Q999" in text
    assert "and 2 more" in say_progress(STANDING, listed=1)
    rows = [line.split() for line in text.splitlines() if line.startswith("    0")]
    assert rows == [["01", "0", "1", "1", "1"], ["02", "1", "0", "2", "0"]]


def test_the_text_in_chinese_has_the_same_numbers_and_no_english():
    text = say_progress(STANDING, "zh")
    assert text.startswith(
        "现在到期 3 题，共 6 题；1 已掌握、1 学习中、3 薄弱、1 未见过\n下一题在5 分钟后；7 天内到期 2 题"
    )
    assert "Q004  第 01 课  上次：困难，忘记 1 次，共 2 次；" in text and PATTERN.question.zh in text
    assert not [word for word in ("due", "weak", "lesson", "next", "last") if word in text]
    columns = [line.split() for line in text.splitlines() if line.startswith("    ") and line.split()[0].isdigit()]
    assert columns == [["01", "0", "1", "1", "1"], ["02", "1", "0", "2", "0"]]


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            "Exercises passed: 2 of 3, in 3 tries; lessons begun: 3, every exercise passed: 1\nBets won: 1 of 2\n"
            "A damaged file of 2026-03-01 was set aside; what could be read of it is in the present one:\n"
            "    reviews.damaged-x.sqlite3\n",
        ),
        (
            "zh",
            "练习通过 2 道，共 3 道，检查 3 次；开始的课 3，练习全部通过的课 1\n下注赢 1 次，共 2 次\n"
            "2026-03-01 有一个损坏的文件已移开，其中能读出的内容已在现用文件中：\n    reviews.damaged-x.sqlite3\n",
        ),
    ],
)
def test_what_was_done_in_lessons_and_which_file_was_set_aside(language, lines):
    assert lines in say_progress(STANDING, language)


def test_a_long_question_is_wrapped_and_not_cut():
    lines = say_progress(STANDING).splitlines()
    assert max(map(len, lines)) <= 100
    assert max(map(width, say_progress(STANDING, "zh").splitlines())) <= 100
    assert PATTERN.question.en in " ".join(line.strip() for line in lines)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language 'de' is not in the bank; try one of en, zh"):
        progress("de")


def test_the_figure_shows_the_same_numbers():
    fig, (left, right) = draw_progress(STANDING)
    drawn = {bars.get_label(): [bar.get_width() for bar in bars] for bars in left.containers}
    assert drawn == {state: [row[state] for row in by_lesson(CARDS).values()] for state in STATES}
    assert [bar.get_height() for bar in right.containers[0]] == due_by_day(CARDS, NOW)
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in (left, right))
    matplotlib.pyplot.close(fig)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def test_it_reads_the_log_and_the_bank(folder):
    store = ReviewStore()
    store.add(Review(PATTERN.id, 1, NOW))
    store.add(Review("Q000", 3, NOW))
    standing = read_standing(NOW)
    assert [card.question.id for card in standing.cards if not card.new] == [PATTERN.id]
    assert standing.strangers == ["Q000"]


def test_a_damaged_file_is_reported(folder):
    (folder / "reviews.sqlite3").write_bytes(b"garbage " * 99)
    assert "was moved to" in say_progress(read_standing(NOW)).splitlines()[0]
    (kept,) = folder.glob("*.damaged-*")
    again = say_progress(read_standing(NOW))
    assert (
        "was moved to" not in again
        and f"was set aside; what could be read of it is in the present one:\n    {kept}\n" in again
    )


def test_lessons_are_read_from_the_log_against_the_exercises_of_the_course(folder, monkeypatch):
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    ids = list(list_exercises())
    assert {"07.1 fuse"} < set(ids) and len(ids) == len(set(ids)) > 30
    note("check", ids[0], passed=True, stage=0, stages=2)
    assert f"Exercises passed: 1 of {len(ids)}, in 1 tries" in say_progress(read_standing(NOW))


def test_the_notebook_gets_text_and_a_figure(folder, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    shown = []
    monkeypatch.setattr(module, "show", lambda figure, alt: shown.append(alt))
    progress()
    assert "due now" in capsys.readouterr().out
    assert len(shown) == 1


def test_a_built_notebook_gets_one_sentence_and_no_file(folder, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STATIC", "1")
    shown = []
    monkeypatch.setattr(module, "display", shown.append)
    progress()
    assert len(shown) == 1 and capsys.readouterr().out == ""
    assert list(folder.iterdir()) == []


def test_the_command(folder, capsys):
    assert cli.main(["progress", "--figure", str(folder / "p.png")]) == 0
    assert "due now" in capsys.readouterr().out
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_says_what_to_do_when_the_folder_is_no_folder(folder, monkeypatch, capsys):
    (folder / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_DATA", str(folder / "file"))
    assert cli.main(["progress"]) == 1
    assert "COURSE_DATA" in capsys.readouterr().err


def test_a_figure_that_cannot_be_written_is_said_in_one_line(folder, capsys):
    assert cli.main(["progress", "--language", "zh", "--figure", str(folder / "no" / "folder.png")]) == 2
    out, err = capsys.readouterr()
    assert "现在到期" in out and "No such file" in err
