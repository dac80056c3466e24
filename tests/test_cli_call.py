"""Calls of `course`: a wrong one is one line and status 2 in every verb; a reader who goes away is no traceback."""

import os
import subprocess
import sys
from datetime import datetime

import pytest

from course_lib import cli, cli_interview
from course_lib.interview import plan, record
from course_lib.learner import clock
from course_lib.learner.store import ReviewStore

HUGE = "9" * 30
WRONG = [
    "",
    "walk",
    "drill --days 0",
    "drill --days -3",
    "drill --days 40000",
    f"drill --days {HUGE}",
    "drill --days soon",
    "drill --days 1.5",
    "drill --days",
    "drill --minutes 0",
    "drill --minutes -1",
    "drill --minutes 1441",
    "drill --minutes nan --days 3",
    "drill --minutes inf",
    "drill --minutes short",
    "drill --lesson 99",
    "drill --lesson 7",
    "drill --lesson ../../etc",
    "drill --depth deep",
    "drill --language fr",
    "drill now",
    "progress --language fr",
    "progress --figure {folder}",
    "progress --figure {folder}/none/here.png",
    "progress now",
    "export",
    "export paper",
    "export anki --out {folder}",
    "export anki --language fr",
    "export anki --lesson 99",
    "export anki --lesson 7",
    "export anki --depth deep",
    "export anki --lesson 09 --depth deep",
    "export anki --cards half",
    "export sheet",
    "export sheet --part 0",
    "export sheet --part -1",
    f"export sheet --part {HUGE}",
    "export sheet --part two",
    "export sheet --part 2 --out {folder}",
    "mock --minutes 0",
    "mock --minutes -30",
    "mock --minutes 31",
    f"mock --minutes {HUGE}",
    "mock --minutes half",
    "mock --focus 99",
    "mock --focus 7",
    "mock --level intern",
    "mock --seed x",
    "mock --language fr",
    "mock --resume none",
    "mock --resume",
    "mock --drop none",
    "mock --drop",
    "mock --report none",
    "mock --report",
    "mock --list --report",
    "mock now",
    "arithmetic --count 0",
    "arithmetic --count -1",
    f"arithmetic --count {HUGE}",
    "arithmetic --count many",
    "arithmetic --count 1.5",
    "arithmetic --step 4",
    "arithmetic --step 0",
    "arithmetic --step one",
    "arithmetic --family knots",
    "arithmetic --seed x",
    "arithmetic --language fr",
    "arithmetic now",
    "coverage --all",
    "coverage now",
]


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_one_line_and_status_2(call, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asked something"))
    try:
        status = cli.main(call.format(folder=tmp_path).split())
    except SystemExit as leave:
        status = leave.code
    said = capsys.readouterr().err
    assert status == 2, said
    assert said.count("\n") == 1 and said.endswith("\n") and 20 < len(said) < 500, said


@pytest.mark.parametrize("seed", ["-5", HUGE])
def test_any_whole_number_is_a_seed(seed, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "q")
    assert cli.main(["arithmetic", "--seed", seed, "--count", "1000"]) == 0
    assert "1/1000" in capsys.readouterr().out


def test_a_store_that_cannot_be_used_is_one_line_and_status_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").write_text("in the way")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    for verb in ("drill", "progress", "mock"):
        assert cli.main([verb]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.startswith("cannot keep reviews in"), said


class WrongClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(9999, 12, 31, 23, 59, tzinfo=tz)


def test_a_clock_in_the_year_9999_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(clock, "datetime", WrongClock)
    for verb in ("drill", "drill --days 14", "progress", "mock"):
        assert cli.main(verb.split()) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.startswith("the clock says 9999-12-31 23:59"), said


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59+00:00", "2026-03-01T09:00:00", "yesterday"])
def test_a_foreign_time_in_the_store_is_said_and_the_verbs_go_on(at, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda _: "q")
    ReviewStore()._append("reviews", [("Q004", 3, at, 1.0)])
    for verb in ("drill", "drill --days 14", "progress", "mock"):
        assert cli.main(verb.split()) == 0
        out, err = capsys.readouterr()
        assert ("1 of 1 rows of reviews" in out and repr(at) in out) or verb == "mock"
        assert err == ""


def test_the_bounds_of_the_command_line_are_those_of_the_plan():
    assert (cli_interview.MOST_DAYS, cli_interview.MOST_MINUTES) == (plan.MOST_DAYS, plan.MOST_MINUTES)
    assert (tuple(record.LANGUAGES), record.DEPTHS) == (cli_interview.LANGUAGES, cli_interview.DEPTHS)


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE on Windows")
@pytest.mark.parametrize(
    "call",
    [
        "--help",
        "drill --help",
        "drill",
        "mock --seed 3",
        "progress",
        "arithmetic --list",
        "coverage",
        "lessons",
        "doctor",
    ],
)
def test_a_reader_who_has_gone_gets_no_traceback(call, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.cli", *call.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COURSE_DATA": str(tmp_path)},
        text=True,
        timeout=300,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141 or "--help" in call  # which argparse gives up writing without a word


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_closed_input_or_output_is_no_traceback(closed, tmp_path):
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m course_lib.cli drill --lesson 07 {closed}'],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COURSE_DATA": str(tmp_path)},
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_any_verb_without_a_traceback(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_lessons", interrupted)
    assert cli.main(["lessons"]) == 130
    assert "Traceback" not in capsys.readouterr().err
