"""The drill as learners meet it: widgets, terminal, static page; ratings on disk before the next card."""

import functools
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from course_lib import cli
from course_lib.interview import drill as module
from course_lib.interview import practice
from course_lib.interview.drill import DrillView, drill
from course_lib.interview.drill_terminal import practise
from course_lib.interview.practice import Session, choose_questions
from course_lib.interview.questions import load_questions as read_questions
from course_lib.interview.record import DEPTHS
from course_lib.interview.schedule import by_priority, cards_of
from course_lib.learner.store import FILE, Review, ReviewStore, StoreError, add_to_drill

load_questions = functools.cache(read_questions)  # with types checked, reading the bank takes most of a second
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ORDER = [card.question for card in by_priority(cards_of(load_questions("07"), []))]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(practice, "load_questions", load_questions)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    return tmp_path


@pytest.fixture
def view(folder):
    return DrillView(Session("07", clock=Clock()))


def visible(view):
    return [rating for rating, button in view.ratings.items() if button.layout.display != "none"]


def saved():
    return [(each.question, each.rating) for each in ReviewStore().reviews()]


def test_the_answer_and_the_ratings_appear_on_reveal(view):
    first = ORDER[0]
    assert first.question.en in view.page.value and first.answer.en[:40] not in view.page.value
    assert visible(view) == []
    view.reveal.click()
    assert module.escape(first.answer.en)[:40] in view.page.value
    assert visible(view) == [1, 2, 3, 4] and view.reveal.layout.display == "none"
    assert view.ratings[1].description == "again · 1 min"
    assert view.ratings[3].description == "good · 10 min"


def test_a_rating_is_on_disk_and_the_next_card_is_hidden(view):
    view.reveal.click()
    view.ratings[3].click()
    assert saved() == [(ORDER[0].id, 3)]
    assert ORDER[1].question.en in view.page.value
    assert visible(view) == []
    assert view.status.value == f"0 due · {len(ORDER) - 1} new · 1 later · 1 done"


def test_stale_clicks_save_nothing(view):
    view.ratings[1].click()  # the answer is hidden
    view.reveal.click()
    view.ratings[3].click()
    view.ratings[3].click()  # a double click must not rate the next card
    assert saved() == [(ORDER[0].id, 3)]


def test_a_card_returns_when_it_is_due(view):
    view.reveal.click()
    view.ratings[1].click()
    view.session.clock.now += timedelta(minutes=2)
    view.reveal.click()
    view.ratings[4].click()  # the second card; then the first is due
    assert ORDER[0].question.en in view.page.value
    assert view.status.value.startswith("1 due")


def test_another_kernels_ratings_are_seen(view):
    ReviewStore().add(Review(ORDER[1].id, 4, START))
    view.reveal.click()
    view.ratings[4].click()
    assert ORDER[2].question.en in view.page.value


def test_when_nothing_is_due_it_says_what_comes_next(folder):
    store = ReviewStore()
    for question in ORDER:
        store.add(Review(question.id, 4, START))
    clock = Clock()
    view = DrillView(Session("07", clock=clock))
    assert "Nothing is due. Next: " in view.page.value and " d." in view.page.value
    assert view.reveal.description == "Look again"
    clock.now += timedelta(days=60)
    view.reveal.click()
    assert view.card is not None and not view.revealed


def test_the_language_switch_changes_everything_and_keeps_the_answer_open(view):
    view.reveal.click()
    view.language.value = "zh"
    assert ORDER[0].key_points[0].zh in view.page.value
    assert view.ratings[3].description == "良好 · 10 分钟"
    assert view.status.value.startswith("0 到期")


def test_a_rating_that_cannot_be_saved_stays_with_the_reason(view, monkeypatch):
    def full(review):
        raise StoreError("disk is full; make space")

    view.reveal.click()
    monkeypatch.setattr(view.session.store, "add", full)
    view.ratings[3].click()
    assert "Not saved: disk is full; make space" in view.notice.value
    assert ORDER[0].question.en in view.page.value and visible(view) == [1, 2, 3, 4]
    monkeypatch.undo()
    view.ratings[3].click()
    assert "Not saved" not in view.notice.value
    assert ORDER[1].question.en in view.page.value


def test_what_a_mock_interview_found_weak_comes_first_with_its_reason(folder):
    last = ORDER[-1]
    add_to_drill([last.id], "mock: <no> formula")
    view = DrillView(Session("07"))
    assert last.question.en in view.page.value and "asked for: mock: &lt;no&gt; formula" in view.page.value
    view.reveal.click()
    view.ratings[3].click()
    assert ORDER[0].question.en in view.page.value


def test_links_to_claims_name_their_notebook(view):
    view.reveal.click()
    assert 'href="#' not in view.page.value
    assert 'href="07_fusing_modalities.ipynb#' in view.page.value


def test_a_damaged_file_is_reported_in_the_view(folder):
    (folder / FILE).write_bytes(b"garbage " * 99)
    assert "was moved to" in DrillView(Session("07")).notice.value


def test_a_bank_that_lost_questions_still_drills(folder, monkeypatch):
    store = ReviewStore()
    for question in ORDER:
        store.add(Review(question.id, 1, START))
    store.add(Review("Q999", 1, START))
    monkeypatch.setattr(practice, "load_questions", lambda *_: ORDER[2:])
    view = DrillView(Session("07"))
    assert ORDER[2].question.en in view.page.value
    assert len(ReviewStore().reviews()) == len(ORDER) + 1


# --- filters and the plan -------------------------------------------------------------------------------------------


def test_filters():
    assert {each.lesson for each in choose_questions(("07", "12"), None)} == {"07", "12"}
    assert {each.depth for each in choose_questions(None, "staff")} == {"staff"}
    assert len(choose_questions(None, None)) == len(load_questions())
    found = [choose_questions("07", depth) for depth in DEPTHS]
    assert sum(map(len, found)) == len(load_questions("07"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": "hard"}, "depth 'hard' is none of screen, onsite, staff"),
        ({"language": "fr"}, "language 'fr' is not in the bank"),
        ({"lesson": "99"}, "no question for lesson '99'"),
        ({"days": 0}, "0 days .* pass a whole number from 1 to 366"),
        ({"days": -1}, "-1 days .* pass a whole number from 1 to 366"),
        ({"days": 40_000}, "40000 days .* pass a whole number from 1 to 366"),
        ({"days": True}, "True days .* pass a whole number from 1 to 366"),
        ({"days": 3, "minutes": float("nan")}, "nan minutes a day"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        drill(**arguments)


def test_with_days_it_asks_todays_share_and_says_what_is_left_out(folder):
    session = Session("07", days=2, minutes=9, clock=Clock())
    assert [card.question.id for card in session.queue()] == list(session.plan.today.new)
    assert len(session.plan.today.new) == 2  # 540 s hold two questions of 255 s
    view = DrillView(session)
    assert "2 days at 9 min" in view.notice.value and "Left out" in view.notice.value
    assert view.notice.value.count("<li>") == len(session.plan.left_out)  # folded away below the outline
    view.language.value = "zh"
    assert "2 天，每天 9 分钟" in view.notice.value and "Left out" not in view.notice.value
    view.language.value = "en"
    view.reveal.click()
    view.ratings[3].click()
    assert "2 days at 9 min" not in view.notice.value  # read once


# --- the page of a built notebook, the terminal, a killed kernel, time -----------------------------------------------


def test_a_built_notebook_gets_a_description_and_no_file(folder, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    shown = []
    monkeypatch.setattr(module, "display", shown.append)
    drill("07", depth="onsite", language="zh", days=14)
    (page,) = (each.data for each in shown)
    assert "lesson 07 · onsite · 中文, live in JupyterLab" in page and "14 days at 20 minutes" in page
    assert list(folder.iterdir()) == []


def test_a_live_notebook_gets_the_view_and_what_is_due_for_readers_without_a_kernel(folder, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "show_view", lambda view, **static: shown.append((view, static)))
    drill("07")
    ((view, static),) = shown
    assert [type(each).__name__ for each in view.widget.children] == ["HBox", "HBox", "HTML", "HTMLMath"]
    assert f"0 due · {len(ORDER)} new" in static["html"] and module.escape(ORDER[0].question.en) in static["html"]
    assert ORDER[0].answer.en[:40] not in static["html"] and "live in JupyterLab" in static["text"]


def press(view, *keys):
    for key in keys:
        view.keys._handle_custom_msg({"key": key}, [])


def test_space_reveals_and_1_to_4_rate(view):
    assert view.keys.wanted == [" "] and view.keys.help == "space reveals"
    press(view, "3")
    assert saved() == []  # not before the answer is there
    press(view, " ", " ")
    assert visible(view) == [1, 2, 3, 4] and view.keys.wanted == ["1", "2", "3", "4"]
    press(view, "2", "2", "1")
    assert saved() == [(ORDER[0].id, 2)]
    press(view, " ", "4")
    assert saved() == [(ORDER[0].id, 2), (ORDER[1].id, 4)]


def test_the_time_of_an_answer_runs_until_it_is_revealed(view, monkeypatch):
    (watch,) = view.keys.times
    assert (watch["text"], watch["step"], watch["limit"]) == ("{} of 1:00", 1, 60.0) and watch["seconds"] < 30
    now = view.shown_at
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 75)
    press(view, " ")
    (watch,) = view.keys.times
    assert (watch["seconds"], watch["step"]) == (75, 0)
    assert module.Stopwatch(**watch).said() == "1:15 of 1:00, over time"
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 90)
    view.keys._handle_custom_msg({"shown": True}, [])  # another page, the same time
    assert view.keys.times[0]["seconds"] == 75
    press(view, "3")
    assert [each.seconds for each in ReviewStore().reviews()] == [90]
    assert view.keys.times[0]["seconds"] == 0


def test_one_answer_is_rated_once_in_whatever_window(view):
    view.reveal.click()
    ReviewStore().add(Review(ORDER[0].id, 1, START))  # the same card in another kernel
    press(view, "4")
    assert saved() == [(ORDER[0].id, 1)] and view.session.done == 0
    assert f"{ORDER[0].id} was rated in another window meanwhile; nothing was saved here" in view.notice.value
    assert ORDER[1].question.en in view.page.value and visible(view) == []
    press(view, " ", "4")
    assert saved()[1:] == [(ORDER[1].id, 4)] and "another window" not in view.notice.value


def test_the_answer_scrolls_in_its_box_below_the_ratings(view):
    view.reveal.click()
    assert view.widget.children.index(view.page) > 1 and "max-height:" in view.page.value
    assert 'tabindex="0" role="region" aria-label="question and answer"' in view.page.value


def typing(*answers):
    answers = list(answers)

    def ask(prompt):
        if not answers:
            raise EOFError
        return answers.pop(0)

    return ask


def test_the_terminal_drills(folder):
    said = []
    session = Session("07", clock=Clock())
    practise(session, "en", typing("", "3", "", "7", "1", "q"), said.append)
    assert saved() == [(ORDER[0].id, 3), (ORDER[1].id, 1)]
    page = "\n".join(said)
    assert ORDER[0].answer.en[:40] in page and "'7' is none of 1, 2, 3, 4, q" in page
    assert "](" not in page and "https://" not in page and "**" not in page  # marks of Markdown are noise here
    assert page.count(ORDER[0].question.en) == 1 and said[-1] == "2 answered; everything is kept."


def test_the_terminal_drills_in_chinese_throughout(folder):
    said, prompts, answers = [], [], ["", "x", "3"]

    def ask(prompt):
        prompts.append(prompt)
        return answers.pop(0) if answers else "q"

    ReviewStore().request([ORDER[1].id], "模拟面试")
    practise(Session("07"), "zh", ask, said.append)
    assert "指定练习：模拟面试" in said[1] and ORDER[1].question.zh in said[2]
    assert ORDER[1].answer.zh[:20] in said[3] and "60 秒回答" in said[3]
    assert "'x' 不是 1、2、3、4、q 之一" in said and said[-1] == "已答 1 题，全部保存。"
    assert "3 良好 (10 分钟)" in prompts[1]
    assert not [each for each in prompts if "Enter" in each or "again" in each]


def test_the_terminal_says_that_a_card_was_rated_elsewhere(folder):
    said = []

    def ask(prompt):
        if "again" in prompt:
            ReviewStore().add(Review(ORDER[0].id, 1, START))
            return "4"
        return "" if not saved() else "q"

    practise(Session("07", clock=Clock()), "en", ask, said.append)
    assert saved() == [(ORDER[0].id, 1)] and any("rated in another window" in each for each in said)


def test_the_terminal_ends_with_the_input_and_when_nothing_is_due(folder):
    practise(Session("07"), "en", typing(""), lambda _: None)
    assert saved() == []
    said = []
    practise(Session("07"), "en", typing(*["", "4"] * len(ORDER)), said.append)
    assert len(saved()) == len(ORDER) and said[-1] == "Nothing is due."


def test_the_command(folder, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", typing("", "4", "q"))
    assert cli.main(["drill", "--lesson", "07", "--days", "3"]) == 0
    assert "3 days at 20 min" in capsys.readouterr().out
    assert cli.main(["drill", "--lesson", "99"]) == 2
    assert "no question for lesson '99'" in capsys.readouterr().err


KILLED = """
import os, signal
from course_lib.interview.drill import DrillView
from course_lib.interview.practice import Session
view = DrillView(Session("07"))
view.reveal.click()
view.advance = lambda: os.kill(os.getpid(), signal.SIGKILL)  # dies between the rating and the next card
view.ratings[3].click()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_kernel_killed_between_rating_and_next_card_keeps_the_rating(folder):
    killed = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert saved() == [(ORDER[0].id, 3)]
    assert ORDER[1].question.en in DrillView(Session("07")).page.value


TIMED = """
import time
from course_lib.interview.drill import DrillView
from course_lib.interview.practice import Session
started = time.process_time()
DrillView(Session(days=14))
print(time.process_time() - started)
"""


def test_it_starts_in_under_a_second_of_cpu_with_a_long_log(folder):
    store, bank = ReviewStore(), load_questions()
    rows = [
        (question.id, 1 + (day + number) % 4, (START + timedelta(days=day)).isoformat(), 30.0)
        for number, question in enumerate(bank)
        for day in range(0, 60, 6)
    ]
    store._append("reviews", rows)
    run = subprocess.run(
        [sys.executable, "-c", TIMED], env=dict(os.environ), capture_output=True, text=True, timeout=60
    )
    assert float(run.stdout) < 1.0, run.stdout + run.stderr
