"""A command imports what it needs and nothing else; speed follows from that on any machine."""

import subprocess
import sys

import pytest
from tests.cli.conftest import Shell
from tests.client.fake_server import FakeServer

HEAVY = {
    "alembic",
    "asyncio",
    "boto3",
    "botocore",
    "msgspec",
    "obstore",
    "pydantic",
    "rich",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
}
LIGHT = [
    ["--help"],
    ["ls"],
    ["run", "--help"],
    ["exec", "--help"],
    ["explain", "--help"],
    ["queue", "--help"],
    ["drill", "--help"],
    ["gc", "--help"],
    ["aws-model"],
    ["attach", "--help"],
    ["data", "--help"],
    ["data", "ls"],
    ["pull", "--help"],
    ["aws-env"],
    ["status"],
]
PROGRAM = """
import sys
from trainshed.cli.main import main
sys.argv = ["trainshed", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("\\nimported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported(shell: Shell, *words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        env=shell.environment,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("words", LIGHT)
def test_light_commands_import_no_heavy_library(
    shell: Shell, fake: FakeServer, words: list[str]
) -> None:
    assert imported(shell, *words) & HEAVY == set()


def test_the_version_costs_not_even_the_command_library(shell: Shell) -> None:
    modules = imported(shell, "--version")
    assert modules & (HEAVY | {"typer", "click", "http", "json"}) == set()


def test_help_imports_no_command(shell: Shell) -> None:
    assert {"pathspec", "tarfile", "multiprocessing"} & imported(shell, "--help") == set()
