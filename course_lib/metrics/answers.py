"""Score a free-form answer against what ten people said: the soft accuracy of VQA.

1 is the best value and 0 the worst. People disagree, so no fixed answer per question reaches 1 on all of them.
"""

import re
from collections.abc import Sequence

from course_lib import refuse

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBERS)}
_ARTICLES = {"a", "an", "the"}


@refuse.misfit
def soft_accuracy(answer: str, human_answers: Sequence[str]) -> float:
    """Return min(n / 3, 1), averaged over leaving out one person at a time: 0 (nobody said it) to 1 (four or more did).

    n counts the people, out of the other nine of ten, who gave the same answer. So one person who agrees is worth 0.3,
    two 0.6, three 0.9: each is left out once. Answers are compared after `normalised`.
    Source: Antol et al. (2015), arXiv:1505.00468; https://visualqa.org/evaluation.html ("all 10 choose 9 sets").
    """
    if len(human_answers) < 2:
        raise ValueError(f"{len(human_answers)} human answers came; leaving one out needs at least 2, VQA has 10")
    said = [normalised(each) == normalised(answer) for each in human_answers]
    agreeing = sum(said)
    return sum(min((agreeing - own) / 3, 1.0) for own in said) / len(said)


def normalised(answer: str) -> str:
    """Lower case, number words ("none" too) as digits, no articles, punctuation as spaces, stops only inside numbers.

    The official script also restores apostrophes in contractions ("dont"); the published answers have had that done.
    """
    text = re.sub(r"(?<=\d),(?=\d)", "", answer.lower())
    text = re.sub(r"(?<!\d)\.|\.(?!\d)", "", text)
    text = re.sub(r"[^\w\s.':]|_", " ", text)
    return " ".join(_DIGITS.get(word, word) for word in text.split() if word not in _ARTICLES)
