"""The terminal: folded, a screen at a time, one key an answer; in a pipe as it is. The last tests use a real one."""

import os
import signal
import sys
import time

import pytest

from course_lib.interview import terminal
from course_lib.interview.terminal import Screen

WIPED = f"\r{' ' * 32}\r"


class Keyboard:
    """A terminal of 30 x 8 whose keys are pressed beforehand; remembers how many lines stood before each key."""

    def __init__(self, monkeypatch, capsys, *keys):
        self.keys, self.capsys, self.seen = list(keys), capsys, []
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: os.terminal_size((30, 8)))
        monkeypatch.setattr(terminal, "read_key", self.press)
        monkeypatch.setattr("builtins.input", self.press)

    def press(self, prompt=""):
        self.seen.append(self.capsys.readouterr().out + prompt)
        key = self.keys.pop(0)
        if isinstance(key, type):
            raise key
        return key


def test_long_text_waits_whenever_the_screen_is_full(monkeypatch, capsys):
    keyboard = Keyboard(monkeypatch, capsys, " ", "", "3")
    screen = Screen()
    for number in range(17):
        screen.say(f"line {number}")
    assert screen.key("mark: ") == "3"
    pages = [each.replace(WIPED, "") for each in keyboard.seen]
    assert [each.count("line ") for each in pages] == [7, 7, 3]  # 8 lines, one for the prompt
    assert pages[0].endswith("-- more: Space, to the end: q --") and pages[2].endswith("mark: ")
    assert "".join(pages).split("line ")[1:][0].startswith("0")


def test_q_shows_the_rest_without_a_stop_and_the_next_text_stops_again(monkeypatch, capsys):
    keyboard = Keyboard(monkeypatch, capsys, "q", "", " ", "4")
    screen = Screen()
    screen.say("\n".join(f"line {number}" for number in range(30)))
    screen.ask("")
    screen.say("\n".join(f"line {number}" for number in range(8)))
    screen.key("")
    assert [each.count("line ") for each in keyboard.seen] == [7, 23, 7, 1]


def test_a_prompt_is_folded_as_well_and_the_learner_types_behind_its_end(monkeypatch, capsys):
    keyboard = Keyboard(monkeypatch, capsys, "1")
    assert Screen("zh").ask("1 重来 (1 分钟) · 2 困难 (6 分钟) · 3 良好 (10 分钟): ") == "1"
    assert keyboard.seen == ["1 重来 (1 分钟) · 2 困难 (6\n分钟) · 3 良好 (10 分钟): "]


def test_an_arrow_is_no_answer(monkeypatch, capsys):
    Keyboard(monkeypatch, capsys, "\x1b[A", "\x7f", "3")
    assert Screen().key("") == "3"


def test_ctrl_c_in_the_middle_of_a_page_goes_to_the_caller(monkeypatch, capsys):
    Keyboard(monkeypatch, capsys, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        Screen().say("x\n" * 20)
    assert capsys.readouterr().out.endswith(WIPED)  # the line that asked for a key is gone


def test_in_a_pipe_text_is_as_it_is_and_answers_are_lines(monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda prompt: print(prompt) or "3")
    monkeypatch.setattr(terminal, "read_key", lambda: pytest.fail("nobody has a keyboard"))
    screen, long = Screen(), "word " * 40 + "\n" * 100
    screen.say(long)
    screen.tell(long)
    assert screen.key("mark: ") == "3"
    assert capsys.readouterr().out == f"{long}\n{long}\nmark: \n"


# --- a real terminal ------------------------------------------------------------------------------------------------

READ = """
import sys
from course_lib.interview.terminal import read_key
print("ready", flush=True)
while True:
    try:
        while True:
            print(f"<{read_key()!r}>", flush=True)
    except (KeyboardInterrupt, EOFError) as error:
        print(f"<{type(error).__name__!r}>", flush=True)
"""


def read_until(terminal, text):
    """What the terminal shows up to `text`; the test hangs no longer than a minute."""
    shown, end = "", time.monotonic() + 60
    while text not in shown and time.monotonic() < end:
        shown += os.read(terminal, 1000).decode(errors="replace")
    assert text in shown
    return shown


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
def test_keys_of_a_real_keyboard():
    import pty

    pid, keyboard = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", READ])
    try:
        read_until(keyboard, "ready")
        for sent, key in [
            (b" ", "' '"),
            (b"\r", "''"),
            (b"3", "'3'"),
            (b"\x1b[A", r"'\x1b[A'"),
            ("中".encode(), "'中'"),
            (b"\x03", "'KeyboardInterrupt'"),
            (b"\x04", "'EOFError'"),
            (b"q", "'q'"),
        ]:
            os.write(keyboard, sent)
            assert f"<{key}>" in read_until(keyboard, ">")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(keyboard)


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
def test_a_hangup_in_the_middle_of_the_drill_keeps_what_was_rated(tmp_path, monkeypatch):
    import pty

    from course_lib.learner.store import ReviewStore

    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    pid, keyboard = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "course_lib.cli", "drill", "--lesson", "07"])
    read_until(keyboard, "(q ends): ")
    for key, answer in ((b" ", "--"), (b"q", "easy ("), (b"3", "(q ends): ")):
        os.write(keyboard, key)
        read_until(keyboard, answer)
    os.close(keyboard)  # the terminal is gone
    os.waitpid(pid, 0)
    assert [each.rating for each in ReviewStore(tmp_path).reviews()] == [3]
