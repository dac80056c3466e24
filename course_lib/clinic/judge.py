"""Judge a repair: look for silencing, run the program, put it through the case's stages. Never raises.

This runs the learner's code in the process that calls it; `desk` calls it in a process of its own, with limits.
"""

import ast
import re
import traceback
from types import SimpleNamespace
from typing import NamedTuple

import torch

from course_lib.clinic.case import Case
from course_lib.clinic.silencing import missing, silenced


class Verdict(NamedTuple):
    """What `judge` found."""

    passed: bool
    line: str
    """One line: ✓, ✗ with the stage and its advice, or ○ for a program that is unchanged or still a stub."""


def judge(case: Case, source: str) -> Verdict:
    """Judge the text of a repaired program. Whatever the program does becomes a line, never an error."""
    name = f"clinic {case.number}"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return Verdict(False, f"✗ {name}  does not parse: {error.msg} (line {error.lineno})")
    if ast.dump(tree) == ast.dump(ast.parse(case.source)):
        return Verdict(False, f"○ {name}  not repaired yet: this is the program as it came in")
    advice = silenced(case.source, source) or missing(case.source, source)
    if advice is not None:
        return Verdict(False, f"✗ {name}  {advice}")
    return run_stages(case, source)


def run_stages(case: Case, source: str) -> Verdict:
    """The hidden tests alone, up to the first that fails."""
    name = f"clinic {case.number}"
    file = f"<repair {case.number}>"
    for number, stage in enumerate(case.stages, start=1):
        lead = f"✗ {name}  test {number} of {len(case.stages)}: "
        try:
            with restored():
                stage(load(source, file))
        except NotImplementedError:
            return Verdict(False, f"○ {name}  not attempted yet")
        except AssertionError as advice:
            return Verdict(False, lead + str(advice).partition("\n")[0])
        except (Exception, SystemExit) as error:
            return Verdict(False, lead + describe(error, file))
    return Verdict(True, f"✓ {name}  repaired: {case.defect}")


def load(source: str, file: str) -> SimpleNamespace:
    """Execute a program's text in a fresh namespace."""
    names = {"__name__": "repair"}
    exec(compile(source, file, "exec"), names)
    return SimpleNamespace(**names)


def describe(error: BaseException, file: str) -> str:
    """The error in a line, with the program's own line number where there is one."""
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {own[-1]})" if own else ""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return f"your program asked for more memory than there is for it{where}: how large is what it makes there?"
    message = re.sub(r" \([^()]*[/\\][^()]*\)", "", str(error).partition("\n")[0])  # a path of this machine
    return f"your program raised {type(error).__name__}{where}: {message}"


class restored:
    """Seed torch, and put its global switches back afterwards."""

    def __enter__(self) -> None:
        self.dtype = torch.get_default_dtype()
        torch.manual_seed(0)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(self.dtype)
        torch.set_grad_enabled(True)
