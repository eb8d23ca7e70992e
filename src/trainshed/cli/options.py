"""Options that several commands share, said once."""

from pathlib import Path
from typing import Annotated

import typer

from trainshed.cli.output import Format

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="TRAINSHED_DATA_DIR",
        show_default=False,
        help="The server's folder [default: trainshed in the user's data folder].",
    ),
]
Job = Annotated[str, typer.Argument(metavar="JOB", help="Name, unique prefix, @last or @-2.")]
Jobs = Annotated[
    list[str], typer.Argument(metavar="JOB...", help="Names, unique prefixes, @last or @-2.")
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to show it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ended.")]
