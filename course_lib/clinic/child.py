"""The process in which a program of the clinic runs; `desk` starts it.

python -m course_lib.clinic.child run 03        the report of `run()`
python -m course_lib.clinic.child judge 03      the verdict
"""

import sys
from typing import Any

import torch

from course_lib.clinic.judge import describe, judge, load
from course_lib.clinic.process import Question
from course_lib.clinic.ward import find_case


def answer(task: str, number: str, text: str) -> dict[str, Any]:
    """What the caller in `desk` gets."""
    if task == "judge":
        return {"line": judge(find_case(number), text).line}
    file = f"<case {number}>"
    try:
        return {"report": load(text, file).run()}
    except (Exception, SystemExit) as error:
        return {"error": describe(error, file).replace("your program raised ", "")}


if __name__ == "__main__":
    torch.set_num_threads(1)
    question = Question()
    question.reply(answer(sys.argv[1], sys.argv[2], question.text))
