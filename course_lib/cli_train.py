"""`course train RECIPE`: train on one device, or on many under torchrun (see course_lib/training/distributed.py).

A wrong call ends in one line and status 2, a training that fails in one line and status 1. An error inside somebody's
own recipe keeps its traceback.
"""

import argparse
import ast
import dataclasses
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from course_lib.cli_call import Parser, quietly
from course_lib.training.config import TrainConfig

WRONG_CALL, FAILED, INTERRUPTED = 2, 1, 130
OPTIONS_OF_FIT = ("run_dir", "resume", "other_data")


def add_train_parser(subparsers: Any) -> None:
    """Add the verb `train`; every field of TrainConfig is an option of the same name."""
    parser = subparsers.add_parser("train", help="train a recipe, on one device or under torchrun on many")
    parser.add_argument(
        "recipe", help="mlp, vit, two_tower, decoder, vlm, or your own module:function that returns a Recipe"
    )
    parser.add_argument("--size", help="for recipes that come in sizes: tiny, small or base of vlm")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", "cuda:1" or "mps"')
    parser.add_argument("--run-dir", help="where checkpoints go; every process must see it")
    parser.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint in --run-dir")
    parser.add_argument("--other-data", action="store_true", help="with --resume: go on although the data are others")
    for field, text in zip(dataclasses.fields(TrainConfig), _field_texts(), strict=True):
        _add_option(parser, field, text)
    parser.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    """Train as asked; the exit status is 130 after Ctrl-C and 143 after SIGTERM, as shells expect."""
    from course_lib.training.checkpoint import CheckpointError
    from course_lib.training.distributed import RefusedElsewhere
    from course_lib.training.lock import RunDirectoryBusy
    from course_lib.training.recorder import NonFiniteLoss

    try:
        return _train(args)
    except NonFiniteLoss as error:
        return _say(error, FAILED)
    except (ValueError, OSError, ImportError, CheckpointError, RunDirectoryBusy, RefusedElsewhere) as error:
        if not _is_refusal(error):
            raise
        return _say(error, WRONG_CALL)


def _train(args: argparse.Namespace) -> int:
    from course_lib.training.distributed import process_group, world
    from course_lib.training.loop import fit

    recipe = made_recipe(args)
    config = chosen_config(recipe, args)
    with process_group(args.device) as runtime:
        history = fit(
            recipe.model.to(runtime.device),
            recipe.data,
            recipe.loss,
            config,
            recipe.evaluate,
            weigh=recipe.weigh,
            **{name: getattr(args, name) for name in OPTIONS_OF_FIT},
        )
        if world().rank == 0:
            figures = "  ".join(f"{name} {value:.4g}" for name, value in history.final.items())
            asked = f"{runtime.device}: {config.precision}, as asked"
            used = f"{runtime.reason if config.precision == 'auto' else asked}; {world().size} process(es)"
            print(f"{args.recipe}  {figures}  [{used}] {history.stopped}".rstrip())
    return INTERRUPTED if history.stopped else 0


def _is_refusal(error: Exception) -> bool:
    """Whether the library itself raised it, and neither a recipe of somebody's nor another library."""
    frame = error.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    return Path(frame.tb_frame.f_code.co_filename).is_relative_to(Path(__file__).parent)


def _say(error: Exception, status: int) -> int:
    print(f"course train: {as_options(' '.join(str(error).split()))}", file=sys.stderr)
    return status


def as_options(text: str) -> str:
    """A message of `fit` or TrainConfig as one about the command line: batch_size=0 becomes --batch-size 0."""
    names = "|".join((*OPTIONS_OF_FIT, *(field.name for field in dataclasses.fields(TrainConfig))))

    def option(found: re.Match) -> str:
        return f"--{found[1].replace('_', '-')}{' ' if found[2] is None else ''}"

    return re.sub(rf"\b({names})=(True\b|(?=[\s,;)]))?", option, text)


def chosen_config(recipe: Any, args: argparse.Namespace) -> TrainConfig:
    """The recipe's settings with those that were given on the command line.

    In a shorter run the recipe's own warm-up is shorter in proportion.
    """
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if "betas" in given:
        given["betas"] = tuple(given["betas"])
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in given and other not in given:
            given[other] = None
    if recipe.config.warmup_steps > 0 and "warmup_steps" not in given:
        usual = _steps(recipe, recipe.config)
        steps = _steps(recipe, dataclasses.replace(recipe.config, **given, warmup_steps=0))
        given["warmup_steps"] = recipe.config.warmup_steps * min(steps, usual) // usual
    return dataclasses.replace(recipe.config, **given)


def _steps(recipe: Any, config: TrainConfig) -> int:
    from course_lib.training.data import count_examples
    from course_lib.training.order import BatchOrder, total_steps

    order = BatchOrder(count_examples(recipe.data), config.batch_size, keep_tail=config.tail == "keep")
    return total_steps(config, order)


def made_recipe(args: argparse.Namespace) -> Any:
    """The recipe that is asked for, made with --seed and --size where they are given."""
    from course_lib.training.data import count_examples
    from course_lib.training.recipes import Recipe

    function = find_recipe(args.recipe)
    given = {name: getattr(args, name) for name in ("seed", "size") if getattr(args, name) is not None}
    try:
        inspect.signature(function).bind(**given)
    except (TypeError, ValueError) as error:  # also one that has no signature to look at
        asked = ", ".join(f"--{name}" for name in given) or "no options"
        raise ValueError(f"{args.recipe} cannot be called with {asked}: {error}") from error
    recipe = function(**given)
    if not isinstance(recipe, Recipe):
        raise ValueError(
            f"{args.recipe} returned a {type(recipe).__name__}; return a course_lib.training.recipes.Recipe"
        )
    try:
        count_examples(recipe.data)
    except TypeError as error:
        raise ValueError(f"{args.recipe}: {error}") from error
    return recipe


def find_recipe(name: str) -> Callable:
    """A built-in recipe by name, or anybody's by module:function, the module from here or from what is installed."""
    from course_lib.training.recipes import BUILT_IN
    from course_lib.training.vlm_recipe import vlm

    built_in = {**BUILT_IN, "vlm": vlm}
    path, _, function = name.partition(":")
    if not function and name in built_in:
        return built_in[name]
    if not function or not path:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(built_in)}, or write module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # where `python -m` looks, but an installed command does not
    try:
        module = importlib.import_module(path)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported ({type(error).__name__}: {error})") from error
    found = getattr(module, function, None)
    if not callable(found):
        there = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == path]
        raise ValueError(f"{path} has no function {function!r}; it has {', '.join(there) or 'none'}")
    return found


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field, text: str) -> None:
    name, kinds = f"--{field.name.replace('_', '-')}", get_args(field.type) or (field.type,)
    text = text.replace("%", "%%")
    if field.type is bool:
        parser.add_argument(name, action="store_const", const=True, help=text)
    elif get_origin(field.type) is Literal:
        parser.add_argument(name, choices=get_args(field.type), help=text)
    elif get_origin(field.type) is tuple:
        parser.add_argument(name, type=_number(float, []), nargs=len(kinds), help=text)
    else:
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        parser.add_argument(name, type=_number(float if float in kinds else int, words), help=text)


def _number(kind: type, words: list[str]) -> Callable[[str], int | float | str]:
    def read(text: str) -> int | float | str:
        try:
            return text if text in words else kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(_advice(text, kind, words)) from None

    return read


def _advice(text: str, kind: type, words: list[str]) -> str:
    line = f"{text!r} is no {'whole ' if kind is int else ''}number" + "".join(f" and not {word!r}" for word in words)
    try:
        return f"{line}; write {int(float(text))}" if kind is int else line
    except (ValueError, OverflowError):
        return line


def _field_texts() -> list[str]:
    """The docstring under each field, which Python does not keep: read from the source."""
    body = ast.parse(inspect.getsource(TrainConfig)).body[0].body
    pairs = zip(body, body[1:], strict=False)
    return [" ".join(after.value.value.split()) for node, after in pairs if isinstance(node, ast.AnnAssign)]


def main(argv: list[str] | None = None) -> int:
    """`python -m course_lib.cli_train train ...`, the verb on its own."""
    parser = Parser(prog="course")
    add_train_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(argv)
    return quietly(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
