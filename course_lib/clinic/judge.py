"""Judge a repair: look for silencing, run the program, put it through the case's stages. Never raises.

This runs the learner's code in the process that calls it; `desk` calls it in a process of its own, with limits.
"""

import ast
import inspect
import re
import traceback
from types import FunctionType, SimpleNamespace
from typing import NamedTuple

from course_lib.clinic.case import Case
from course_lib.clinic.silencing import missing, silenced
from course_lib.lesson.witness import Witness, fresh_world


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
        witnesses, advice = {}, None
        lead = f"✗ {name}  test {number} of {len(case.stages)}: "
        try:
            with fresh_world():
                program, witnesses = watched(load(source, file))
                stage(program)
        except NotImplementedError:
            return Verdict(False, f"○ {name}  not attempted yet")
        except AssertionError as error:
            advice = str(error).partition("\n")[0]
        except (Exception, SystemExit) as error:
            advice = describe(error, file)
        changed = [(name, each.changed) for name, each in witnesses.items() if each.changed]
        if changed:
            advice = "`{}` changed its argument {}; copy it first, the caller still needs it".format(*changed[0])
        if advice is not None:
            return Verdict(False, lead + advice)
    return Verdict(True, f"✓ {name}  repaired: {case.defect}")


def load(source: str, file: str) -> SimpleNamespace:
    """Execute a program's text in a fresh namespace."""
    names = {"__name__": "repair"}
    exec(compile(source, file, "exec"), names)
    return SimpleNamespace(**names)


def watched(program: SimpleNamespace) -> tuple[SimpleNamespace, dict[str, Witness]]:
    """The program with a witness around each of its functions: they get copies, which they may not change.

    A model and its optimiser are there to be changed.
    """
    functions = {name: each for name, each in vars(program).items() if isinstance(each, FunctionType)}
    own = {name: each for name, each in functions.items() if each.__module__ == "repair"}
    witnesses = {
        name: Witness(each, tuple(inspect.signature(each).parameters), mutates=("model", "optimizer"))
        for name, each in own.items()
    }
    return SimpleNamespace(**(vars(program) | witnesses)), witnesses


def describe(error: BaseException, file: str) -> str:
    """The error in a line, with the program's own line number where there is one."""
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {own[-1]})" if own else ""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return f"your program asked for more memory than there is for it{where}: how large is what it makes there?"
    message = re.sub(r" \([^()]*[/\\][^()]*\)", "", str(error).partition("\n")[0])  # a path of this machine
    return f"your program raised {type(error).__name__}{where}: {message}"
