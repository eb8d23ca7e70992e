"""Options that several commands share, said once."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trainshed.cli.output import Format

_DASHES: Final = "trainshed.behind_dashes"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        envvar="TRAINSHED_DATA_DIR",
        show_default=False,
        show_envvar=False,
        help="The server's folder [default: TRAINSHED_DATA_DIR, or ~/.local/share/trainshed].",
    ),
]
ByEnvironment = Annotated[
    bool,
    typer.Option(
        "--aws",
        help="Reach what AWS_ENDPOINT_URL, AWS_REGION and your AWS keys name; without it AWS.",
    ),
]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Name, unique prefix, @last or @-2.")]
Jobs = Annotated[
    list[str], typer.Argument(metavar="JOB", help="Names, unique prefixes, @last or @-2.")
]
Node = Annotated[
    str,
    typer.Option("--node", metavar="NODE", help="Which node: 1, or algo-1 [default: the first]."),
]
Output = Annotated[
    Format,
    typer.Option("--output", "-o", metavar="FORMAT", help="One of table, wide, json, jsonl, name."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ended.")]


def note_dashes(ctx: Any, words: Sequence[str]) -> None:  # noqa: ANN401
    """Keep in a command's context what was typed behind ``--``."""
    ctx.meta[_DASHES] = list(words[words.index("--") + 1 :]) if "--" in words else None


def behind_dashes(ctx: typer.Context) -> list[str] | None:
    """Return the words behind ``--``, exactly as typed; None when there was no ``--``."""
    found: list[str] | None = ctx.meta[_DASHES]
    return found


def spread(kind: type[Any]) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Make a command of a function that takes one dataclass: each field is a parameter.

    For commands with more options than a function should have parameters.

    Args:
        kind: a dataclass; its fields' types are what Typer reads.
    """
    found = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=field.type,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(kind)
    ]

    def decorate(function: Callable[[Any], None]) -> Callable[..., None]:
        @wraps(function)
        def command(**values: Any) -> None:  # noqa: ANN401
            function(kind(**values))

        command.__annotations__ = {parameter.name: parameter.annotation for parameter in found}
        vars(command)["__signature__"] = inspect.Signature(found)
        return command

    return decorate
