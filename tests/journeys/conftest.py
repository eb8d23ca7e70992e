"""A server that runs as long as a module's tests, and who asks it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.shed import Shed

from trainshed.testing.server import Server

MAPPED = "*mapped-image*"
"""Images of this name run the program ``train`` of an environment folder."""


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "shared").mkdir()
    with Server(folder / "data", settings(folder)) as server:
        yield Shed(server, folder)


def settings(folder: Path, max_nodes: int = 8) -> str:
    """Return settings with an image that is mapped to an environment below ``folder``."""
    programs = folder / "environment" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    train = programs / "train"
    train.write_text(
        '#!/bin/sh\necho "the image\'s own train"\necho made >/opt/ml/model/made.txt\n'
    )
    train.chmod(0o755)
    (programs / "python").unlink(missing_ok=True)
    (programs / "python").symlink_to(sys.executable)
    return f"""
file_roots = ["{folder}/shared"]
[backends.local]
max_nodes = {max_nodes}
[backends.local.images]
"{MAPPED}" = "{folder}/environment"
"*" = "python"
"""
