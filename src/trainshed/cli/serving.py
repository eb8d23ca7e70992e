"""``trainshed up``, ``down`` and ``status``: the server."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from trainshed import __version__
from trainshed.app import clock
from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir, Output
from trainshed.cli.output import Format
from trainshed.client import server


def up(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="0: any free one [default: 7070, or a free one].",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings, a TOML file.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run it in the background.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Run the server, here until Ctrl-C, or in the background. Running jobs outlive it."""
    place = session.folder(data_dir)
    if detach:
        further = ["--host", host]
        further += [] if port is None else ["--port", str(port)]
        further += [] if config is None else ["--config", str(config.resolve())]
        command = session.command(place, *further)
        found, started = server.start(place, command, now=clock.now, sleep=time.sleep)
        word = "started" if started else "runs already"
        print(f"trainshed {found.version}  server {word}  {found.url}")
        return
    # Measured: the server's libraries take ten times as long to import as all other commands.
    from trainshed.app import serve  # noqa: PLC0415

    def ready(url: str) -> None:
        print(f"trainshed {__version__}  ready  {url}", flush=True)
        if sys.stdout.isatty():
            output.note(f"data in {place}; stop with Ctrl-C")

    serve.run(place, port, host, ready, config)


def down(data_dir: DataDir = None) -> None:
    """Stop the server. Jobs that run go on, and are found again by the next one."""
    place = session.folder(data_dir)
    found = server.find(place, clock.now)
    if found is None:
        output.note(f"no server runs for {place}")
        return
    server.stop(found, sleep=time.sleep)
    print(f"trainshed {found.version}  server stopped  {found.url}")


def status(shown_as: Output = Format.TABLE, data_dir: DataDir = None) -> None:
    """Show the server: exit code 0 when it runs, 6 when it does not."""
    place = session.folder(data_dir)
    found = server.find(place, clock.now)
    facts = {"running": found is not None, "data_dir": str(place)}
    if found is not None:
        facts |= {
            "url": found.url,
            "version": found.version,
            "pid": found.pid,
            "started": found.started,
            "backend": found.backend,
            "backends": dict(found.backends),
        }
    if shown_as in {Format.JSON, Format.JSONL}:
        print(output.dumps(facts, indent=2 if shown_as is Format.JSON else None))
    elif shown_as is Format.NAME:
        print(facts.get("url", ""))
    else:
        for key, value in facts.items():
            print(f"{key:<10}{_spoken(value)}")
    if found is None:
        raise typer.Exit(exits.UNREACHABLE)


def _spoken(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} ({runtime})" for name, runtime in value.items())
        case _:
            return str(value)
