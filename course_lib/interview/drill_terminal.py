"""The drill in a terminal: `course drill`, one question after another, each rating on disk before the next one."""

import time
from collections.abc import Callable

from course_lib.interview.answer import WORDS, as_text
from course_lib.interview.practice import LABELS, Session
from course_lib.interview.schedule import Card, next_times, say_time
from course_lib.learner.tables import RATINGS

SAID = {
    "en": {
        "think": "Say your answer aloud, then press Space or Enter (q ends): ",
        "took": "you thought for {} s",
        "none": "{!r} is none of {}",
        "kept": "{} answered; everything is kept.",
    },
    "zh": {
        "think": "先出声回答，再按空格或回车（q 结束）：",
        "took": "你想了 {} 秒",
        "none": "{!r} 不是 {} 之一",
        "kept": "已答 {} 题，全部保存。",
    },
}
_JOIN = {"en": ", ", "zh": "、"}


class Stop(Exception):  # noqa: N818 - no error: the learner stops here
    """The learner stops; every rating is kept."""


def practise(session: Session, language: str, ask: Callable[[str], str], say: Callable[[str], None] = print) -> None:
    """Ask what is due until nothing is, or until the learner types q, ends the input or presses Ctrl-C.

    ask: shows a prompt and returns a line or a key; EOFError or KeyboardInterrupt from it ends the drill.
    """
    try:
        while waiting := session.queue():
            _one(session, waiting[0], language, ask, say)
        say(LABELS[language]["empty"])
        return
    except (EOFError, KeyboardInterrupt):
        say("")  # the prompt is still on its line
    except Stop:
        pass
    say(SAID[language]["kept"].format(session.done))


def _one(session: Session, card: Card, language: str, ask: Callable[[str], str], say: Callable[[str], None]) -> None:
    """One question: asked, revealed, rated. Stop when the learner does."""
    said, labels, counts = SAID[language], LABELS[language], session.counts()
    say("\n" + " · ".join(f"{counts[name]} {labels[name]}" for name in ("due", "new", "later", "done")))
    if card.request:
        say(labels["asked"].format(card.request.reason))
    say(f"{card.question.id} · {WORDS[language][card.question.depth]} · {card.question.question[language]}")
    shown = time.monotonic()
    _choose(said["think"], ("",), language, ask, say)
    thought = round(time.monotonic() - shown)
    say(f"\n{as_text(card.question, language)}\n\n{said['took'].format(thought)}")
    times = next_times(card, session.clock())
    choices = " · ".join(f"{key} {labels[key]} ({say_time(times[key], language)})" for key in RATINGS)
    rating = _choose(f"{choices}: ", tuple(map(str, RATINGS)), language, ask, say)
    if not session.rate(card, int(rating), time.monotonic() - shown):
        say(labels["elsewhere"].format(card.question.id))


def _choose(
    prompt: str, answers: tuple[str, ...], language: str, ask: Callable[[str], str], say: Callable[[str], None]
) -> str:
    """One of the answers; Stop for q."""
    while (answer := ask(prompt).strip()) not in answers:
        if answer == "q":
            raise Stop
        named = [each or {"en": "Enter", "zh": "回车"}[language] for each in answers]
        say(SAID[language]["none"].format(answer, _JOIN[language].join([*named, "q"])))
    return answer
