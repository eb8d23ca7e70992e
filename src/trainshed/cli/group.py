"""The command group: loads a command's file when it is typed, and turns errors into exit codes."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trainshed import __version__
from trainshed.cli import exits, output
from trainshed.cli.main import COMMANDS
from trainshed.cli.options import note_dashes
from trainshed.cli.values import read_plainly
from trainshed.client.errors import ApiError, ClientError, JobNotFound, ServerUnreachable
from trainshed.domain.errors import TrainshedError

_HELP = {"help_option_names": ["-h", "--help"]}
_NOT_THERE = {"ResourceNotFound", "NoSuchKey", "NoSuchBucket"}


class PlainCommand(TyperCommand):
    """A command that reads values without pydantic, and whose usage reads as people write it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Read the words; those behind ``--`` are noted too, for who has to tell them apart."""
        note_dashes(ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        """Return the parameters, ``--help`` among them."""
        return read_plainly(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Return the words of the usage line; what must be there stands without braces."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


class PlainGroup(TyperGroup):
    """A group that reads values without pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        """Return the group's own parameters, ``--help`` among them."""
        return read_plainly(super().get_params(ctx))


class LazyGroup(PlainGroup):
    """A group whose commands are rows of a table until one is typed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Return the commands' names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Return the command, imported now; None when there is none."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        module = import_module(f"trainshed.cli.{row.module}")
        made = typer.Typer(add_completion=False, rich_markup_mode=None)
        if not row.parts:
            function = getattr(module, row.function)
            made.command(cmd_name, cls=PlainCommand, context_settings=_HELP)(function)
            return typer.main.get_command(made)
        settings: dict[str, Any] = {"context_settings": _HELP, "no_args_is_help": True}
        made.callback(cls=PlainGroup, **settings)(getattr(module, row.function))
        for part in row.parts:
            function = getattr(module, part)
            made.command(part, cls=PlainCommand, context_settings=_HELP)(function)
        return typer.main.get_command(made)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the table's lines; the commands themselves need not be imported for that."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Carry out the command; an error is told in three lines and becomes the exit code."""
        try:
            return super().invoke(ctx)
        except TrainshedError as error:
            typed = str(ctx.invoked_subcommand)
            row = COMMANDS.get(typed)
            what = row.trouble if row else "the command did not finish"
            output.trouble(what, _why(error), _remedy(error, typed))
            raise typer.Exit(code_of(error)) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(exits.INTERRUPTED) from error


def code_of(error: TrainshedError) -> int:
    """Return the exit code that tells a script which kind of trouble it was."""
    if isinstance(error, ServerUnreachable):
        return exits.UNREACHABLE
    if isinstance(error, JobNotFound):
        return exits.NOT_FOUND
    if isinstance(error, ApiError) and error.code in _NOT_THERE:
        return exits.NOT_FOUND
    return exits.ERROR


def _why(error: TrainshedError) -> str:
    return error.message if isinstance(error, ApiError) else str(error)


def _remedy(error: TrainshedError, typed: str) -> str:
    if isinstance(error, ClientError) and error.remedy:
        return error.remedy
    if isinstance(error, ApiError) and error.status < 500:
        return f"trainshed {typed} --help"
    return "trainshed doctor"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trainshed {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings=_HELP,
    pretty_exceptions_enable=False,
)


@app.callback()
def trainshed(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Managed ML training that you own.

    A job is named by its name, by a prefix only it has, or as @last, @-2, ….
    The server starts by itself when a command needs it.
    """


def invoke() -> Any:  # noqa: ANN401
    """Carry out ``sys.argv``; ends the process with the exit code."""
    return app(prog_name="trainshed")
