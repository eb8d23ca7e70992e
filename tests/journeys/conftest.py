"""A server that runs as long as a module's tests, and who asks it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.shed import Shed

from trainshed.testing.server import TRAINSHED, Server

MAPPED = "*mapped-image*"
"""Images of this name run the program ``train`` of an environment folder."""
PLAIN = "*plain-image*"
"""Images of this name have an environment with Python and nothing else."""

TRAIN = """#!/bin/sh
echo "the image's own train"
echo made >/opt/ml/model/made.txt
"""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "shared").mkdir()
    with Server(folder / "data", settings(folder)) as server:
        yield Shed(server, folder)
        assert nothing_left(server) == []


def nothing_left(server: Server) -> list[dict[str, Any]]:
    """Return what is left of jobs that are over, but for the logs of deleted ones.

    Nor does it count that an engine, of which a socket is left, can't be asked.
    """
    command = [str(TRAINSHED), "gc", "--json", "--dry-run", "--data-dir", str(server.data)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout)
    return [each for each in found if each["Kind"] not in {"log stream", "place"}]


def settings(folder: Path, max_nodes: int = 8) -> str:
    """Return settings with images that are mapped to environments below ``folder``."""
    for environment in ("with-train", "plain"):
        programs = folder / environment / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        (programs / "python").unlink(missing_ok=True)
        (programs / "python").symlink_to(sys.executable)
    train = folder / "with-train" / "bin" / "train"
    train.write_text(TRAIN)
    train.chmod(0o755)
    return f"""
file_roots = ["{folder}/shared"]
[backends.local]
max_nodes = {max_nodes}
[backends.local.images]
"{MAPPED}" = "{folder}/with-train"
"{PLAIN}" = "{folder}/plain"
"*" = "python"
"""
