"""Repairs that hide a failure instead of mending it, found in the syntax tree.

A look at the text is a blunt tool. It only asks about things that no repair in the clinic needs, and only compares with
the broken program: what stood there before may stay.
"""

import ast
from collections import Counter
from collections.abc import Iterator

ADVICE = {
    "try": "a `try` around the failure hides it: the wrong value is still made, only nobody sees it; take it out and "
    "find where the value comes from",
    "suppress": "`suppress` swallows the error; take it out and find where the wrong value comes from",
    "strict": "`strict=False` loads whatever fits and says nothing about the rest; make the names fit instead",
    "warnings": "the warning was the only one who told you; leave it audible and mend what it warns about",
    "nan": "NaN painted over: `nan_to_num` hides that a number overflowed one line earlier",
    "patch": "the library was patched from outside; every other program now has another library; mend this program",
    "assert": "an assertion was taken out; it was there to stop exactly this",
}
_CALLS = {
    "suppress": "suppress",
    "nan_to_num": "nan",
    "nan_to_num_": "nan",
    "filterwarnings": "warnings",
    "simplefilter": "warnings",
    "catch_warnings": "warnings",
    "set_verbosity_error": "warnings",
    "redirect_stderr": "warnings",
}
_LIBRARIES = {"torch", "nn", "F", "transformers", "numpy", "np"}


def silenced(broken: str, repair: str) -> str | None:
    """Advice about the first way in which `repair` hides a failure that `broken` did not hide; None if there is none.

    Raises SyntaxError for a repair that does not parse.
    """
    before, after = (Counter(_signs(ast.parse(source))) for source in (broken, repair))
    for sign in ADVICE:
        if sign == "assert":
            if after[sign] < before[sign]:
                return ADVICE[sign]
        elif after[sign] > before[sign]:
            return ADVICE[sign]
    return None


def missing(broken: str, repair: str) -> str | None:
    """Advice if a function or class of `broken` is gone or takes other arguments in `repair`; None if all are there."""
    before, after = (_contracts(ast.parse(source)) for source in (broken, repair))
    for name, arguments in before.items():
        if name not in after:
            return f"`{name}` is gone; other files call it, so keep it and its arguments"
        if after[name][: len(arguments)] != arguments:
            return f"`{name}` takes {after[name]} now, its callers give {arguments}; keep the arguments"
    return None


def _contracts(tree: ast.Module) -> dict[str, list[str]]:
    """Public functions at the top with their argument names."""
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def _signs(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Try | ast.TryStar) and _catches(node):
            yield "try"
        elif isinstance(node, ast.Assert):
            yield "assert"
        elif isinstance(node, ast.Call):
            yield from _call_signs(node)
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_root(target) in _LIBRARIES for target in targets if isinstance(target, ast.Attribute)):
                yield "patch"


def _catches(node: ast.Try | ast.TryStar) -> bool:
    """`finally` alone lets an error through, unless it leaves the function or the loop itself."""
    leaves = (ast.Return, ast.Break, ast.Continue)
    return bool(node.handlers) or any(isinstance(each, leaves) for part in node.finalbody for each in ast.walk(part))


def _call_signs(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _CALLS:
        yield _CALLS[name]
    if name == "setattr" and call.args and _root(call.args[0]) in _LIBRARIES:
        yield "patch"
    for keyword in call.keywords:
        off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg == "strict" and off and "load" in name:  # zip has a strict= too
            yield "strict"
    if name == "load_state_dict" and len(call.args) > 1 and getattr(call.args[1], "value", None) is False:
        yield "strict"


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", "")
