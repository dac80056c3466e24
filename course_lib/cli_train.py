"""`course train RECIPE`: train on one device, or on many under torchrun (see course_lib/training/distributed.py)."""

import argparse
import ast
import dataclasses
import importlib
import inspect
import sys
from typing import Any, Literal, get_args, get_origin

from course_lib.training.config import TrainConfig


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
    for field, text in zip(dataclasses.fields(TrainConfig), _field_texts(), strict=True):
        _add_option(parser, field, text)
    parser.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    """Train as asked; the exit status is 130 after Ctrl-C, as shells expect."""
    from course_lib.training.distributed import process_group, world
    from course_lib.training.loop import fit

    recipe = _made(args.recipe, {"seed": args.seed, "size": args.size})
    config = chosen_config(recipe.config, args)
    with process_group(args.device) as runtime:
        history = fit(
            recipe.model.to(runtime.device),
            recipe.data,
            recipe.loss,
            config,
            recipe.evaluate,
            weigh=recipe.weigh,
            run_dir=args.run_dir,
            resume=args.resume,
        )
        if world().rank == 0:
            figures = "  ".join(f"{name} {value:.4g}" for name, value in history.final.items())
            print(
                f"{args.recipe}  {figures}  [{runtime.reason}; {world().size} process(es)] {history.stopped}".rstrip()
            )
    return 130 if history.stopped else 0


def chosen_config(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """The recipe's settings with those that were given on the command line."""
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(config) if getattr(args, f.name) is not None}
    if "betas" in given:
        given["betas"] = tuple(given["betas"])
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in given and other not in given:
            given[other] = None
    return dataclasses.replace(config, **given)


def find_recipe(name: str) -> Any:
    """A built-in recipe by name, or anybody's by module:function."""
    from course_lib.training.recipes import BUILT_IN
    from course_lib.training.vlm_recipe import vlm

    built_in = {**BUILT_IN, "vlm": vlm}
    module, _, function = name.partition(":")
    if not function and name in built_in:
        return built_in[name]
    if not function:
        raise SystemExit(f"no recipe {name!r}; there are {', '.join(built_in)}, or write module:function")
    return getattr(importlib.import_module(module), function)


def _made(name: str, options: dict[str, Any]) -> Any:
    """The recipe with the options that were given; an option that it does not take ends the command."""
    function, given = find_recipe(name), {key: value for key, value in options.items() if value is not None}
    takes = inspect.signature(function).parameters
    unknown = [key for key in given if key not in takes]
    if unknown:
        raise SystemExit(f"{name} takes no --{unknown[0]}; its options are {', '.join(takes)}")
    try:
        return function(**given)
    except ValueError as error:
        raise SystemExit(f"{name}: {error}") from error


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field, text: str) -> None:
    name, kinds = f"--{field.name.replace('_', '-')}", get_args(field.type) or (field.type,)
    text = text.replace("%", "%%")
    if field.type is bool:
        parser.add_argument(name, action="store_const", const=True, help=text)
    elif get_origin(field.type) is Literal:
        parser.add_argument(name, choices=get_args(field.type), help=text)
    elif get_origin(field.type) is tuple:
        parser.add_argument(name, type=float, nargs=len(kinds), help=text)
    else:
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        number = float if float in kinds else int
        parser.add_argument(name, type=lambda value: value if value in words else number(value), help=text)


def _field_texts() -> list[str]:
    """The docstring under each field, which Python does not keep: read from the source."""
    body = ast.parse(inspect.getsource(TrainConfig)).body[0].body
    pairs = zip(body, body[1:], strict=False)
    return [" ".join(after.value.value.split()) for node, after in pairs if isinstance(node, ast.AnnAssign)]


def main(argv: list[str] | None = None) -> int:
    """`python -m course_lib.cli_train train ...`, the verb on its own."""
    parser = argparse.ArgumentParser(prog="course")
    add_train_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
