"""Bets: placed once, resolved by their claim, kept in the learner's log, and never in a built notebook."""

import pytest
from IPython.display import Markdown
from nbconvert.filters import markdown2html

from course_lib.learner import log
from course_lib.lesson import bets
from course_lib.lesson.bets import bet, read_record, say_record
from course_lib.lesson.claims import ClaimFailed, claim

OPTIONS = ["up", "down", "no change"]


@pytest.fixture(autouse=True)
def kernel(monkeypatch, tmp_path):
    """A fresh kernel of a learner, with a log of its own; returns a way to start another."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(bets, "publish", lambda widget, **_: None)
    monkeypatch.setattr(bets, "_views", {})
    return lambda: monkeypatch.setattr(bets, "_views", {})


def ask(id="C90.1"):
    bet(id, "Where does the loss go?", OPTIONS)
    return bets._views[id]


def resolve(id="C90.1", answer="down"):
    claim(id, "The loss goes down", True, measured="2 to 1", answer=answer)


def press(view, name):
    (button,) = [each for each in view.buttons if each.description == name]
    assert not button.disabled
    button.click()


def test_a_bet_that_was_right_is_won_when_its_claim_runs(capsys):
    view = ask()
    press(view, "B, sure")
    assert log.entries("bet") == [] and "Run on" in view.status.value  # not resolved yet
    resolve()
    assert capsys.readouterr().out.splitlines()[-1].strip() == "You bet “down”, sure: won."
    (entry,) = log.entries("bet")
    assert entry.id == "C90.1"
    assert entry.detail == {"choice": "down", "right": "down", "won": True, "sure": "sure"}


def test_a_bet_that_was_wrong_hears_what_was_right(capsys):
    press(ask(), "C, guess")
    resolve()
    assert "You bet “no change”, guess: lost, it was “down”." in capsys.readouterr().out
    assert log.entries("bet")[0].detail["won"] is False


def test_a_bet_after_its_claim_is_resolved_at_once():
    view = ask()
    resolve()
    assert log.entries("bet") == [] and view.status.value == ""
    press(view, "A, guess")
    assert "lost, it was “down”" in view.status.value and len(log.entries("bet")) == 1


def test_the_first_bet_counts(kernel, capsys):
    view = ask()
    press(view, "A, guess")
    assert all(button.disabled for button in view.buttons)
    view.place("down", "sure")
    resolve()
    kernel()
    again = ask()
    assert "You bet “up”, guess: lost" in again.status.value and all(button.disabled for button in again.buttons)
    resolve()
    assert len(log.entries("bet")) == 1 and "You bet “up”" in capsys.readouterr().out


def test_run_all_without_a_bet_says_nothing_of_one(capsys):
    ask()
    resolve()
    assert "You bet" not in capsys.readouterr().out and log.entries() == []


def test_a_claim_that_fails_resolves_no_bet():
    press(ask(), "A, sure")
    with pytest.raises(ClaimFailed):
        claim("C90.1", "The loss goes down", False, answer="down")
    assert log.entries("bet") == []


def test_an_answer_that_is_no_option_is_refused():
    ask()
    with pytest.raises(ValueError, match="answer 'sideways' is none of the options"):
        resolve(answer="sideways")


@pytest.mark.parametrize("options", [["one"], ["a", "a"], list("abcdefghi")])
def test_options_are_two_to_eight_different_ones(options):
    with pytest.raises(ValueError, match="give 2 to 8 different ones"):
        bet("C90.1", "Which?", options)


def test_every_button_says_what_it_bets_on():
    names = [button.description for button in ask().buttons]
    assert names == ["A, guess", "A, sure", "B, guess", "B, sure", "C, guess", "C, sure"]


def test_a_built_notebook_lists_the_options_and_keeps_nothing(monkeypatch, capsys):
    shown = []
    monkeypatch.setenv("COURSE_STATIC", "1")
    monkeypatch.setattr(bets, "display", shown.append)
    bet("C90.1", "Where does the loss go?", OPTIONS)
    (page,) = shown
    assert isinstance(page, Markdown)
    assert page.data == "**Bet C90.1.** Where does the loss go?\n\n- **A**  up\n- **B**  down\n- **C**  no change"
    resolve()
    assert "You bet" not in capsys.readouterr().out


def test_a_token_in_angle_brackets_stands_on_the_page_and_is_no_tag():
    page = markdown2html(bets.as_markdown("C90.1", "How much goes to <bos>?", ["`<bos>` first", "<eos>", "$a < b$"]))
    assert "goes to &lt;bos&gt;?" in page
    assert "<code>&lt;bos&gt;</code> first" in page
    assert "&lt;eos&gt;" in page
    assert "$a &lt; b$" in page


def test_the_record_tells_sure_bets_from_guesses(kernel):
    for id, name in (("C90.1", "B, sure"), ("C90.2", "A, sure"), ("C90.3", "B, guess"), ("C91.1", "A, guess")):
        press(ask(id), name)
        resolve(id)
    assert read_record("90") == ({"guess": 1, "sure": 2}, {"guess": 1, "sure": 1})
    assert (
        say_record(read_record("90"), 4) == "bets won: 2 of 3 placed (4 in the lesson) · guess: 1 of 1 · sure: 1 of 2"
    )
    assert say_record(read_record()) == "bets won: 2 of 4 placed · guess: 1 of 2 · sure: 1 of 2"
    assert say_record(read_record("07")) == "no bet placed yet"


def test_a_note_that_lacks_something_is_passed_over():
    log.note("bet", "C90.1", won=True)
    assert say_record(read_record()) == "no bet placed yet" and ask().waiting


def test_the_end_of_a_lesson_counts_its_bets(monkeypatch, capsys):
    bets.bets("00")
    assert capsys.readouterr().out == "no bet placed yet, 2 to place\n"
    monkeypatch.setenv("COURSE_STATIC", "1")
    bets.bets("00")
    assert capsys.readouterr().out.startswith("2 bets in this lesson; live in JupyterLab")
    with pytest.raises(ValueError, match="no lesson '77'; there are 00, 01"):
        bets.bets("77")
