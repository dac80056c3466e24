"""Interview arithmetic in a terminal: `course arithmetic`, one problem after another, with a score at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from course_lib.interview.arithmetic import WORDS, check_language, heading, worked_lines
from course_lib.interview.sums.families import draw_problem, families
from course_lib.interview.sums.problem import Problem
from course_lib.interview.sums.verdict import judge_answer

SAID = {
    "en": {"prompt": "answer (Enter: steps, n: next, q: quit)> ", "bye": "score: "},
    "zh": {"prompt": "回答（回车：看步骤，n：下一题，q：退出）> ", "bye": "成绩："},
}


def list_families(language: str = "en", say: Callable[[str], None] = print) -> None:
    """One family a line: its name and what it asks."""
    check_language(language)
    for name, family in families().items():
        say(f"{name:14} {family.title[language]}")


def drill(
    family: str | None,
    step: int | None,
    *,
    count: int = 10,
    seed: int | None = None,
    language: str = "en",
    ask: Callable[[str], str] = input,
    say: Callable[[str], None] = print,
) -> tuple[int, int]:
    """Ask `count` problems; returns how many were right at the first answer, and how many were tried.

    ask: shows a prompt and returns a line; EOFError or KeyboardInterrupt from it ends the drill, the score is kept.
    """
    check_language(language)
    if count < 1:
        raise ValueError(f"count {count}: ask for one problem or more")
    rng, score = Random(seed), Score()
    try:
        for number in range(1, count + 1):
            problem = draw_problem(family, step, rng)
            say(f"\n{number}/{count}  {heading(problem, language)}\n{problem.task(language)}")
            if not _one(problem, score, language, ask, say):
                break
    except (EOFError, KeyboardInterrupt):
        say("")
    say(SAID[language]["bye"] + WORDS[language]["score"].format(right=score.right, tried=score.tried))
    return score.right, score.tried


@dataclass
class Score:
    """Problems tried, and those right at the first answer that could be read."""

    right: int = 0
    tried: int = 0

    def count(self, correct: bool) -> None:
        """One more problem."""
        self.tried += 1
        self.right += correct


def _one(problem: Problem, score: Score, language: str, ask: Callable[[str], str], say: Callable[[str], None]) -> bool:
    """Ask until the problem is solved or left; False to quit."""
    counted = False
    while True:
        text = ask(SAID[language]["prompt"]).strip()
        if text.lower() in ("q", "n"):
            return text.lower() == "n"
        if not text:
            for what, total in worked_lines(problem, language):
                say(f"  {what}{WORDS[language]['colon']}{total}")
            if not counted:
                score.count(False)
            return True
        verdict = judge_answer(problem, text)
        say(verdict.message[language])
        if verdict.understood and not counted:
            counted = True
            score.count(verdict.correct)
        if verdict.correct:
            return True
