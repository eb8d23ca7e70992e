"""Two programs watch all jobs while the server is stopped, killed and started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import Shed, until
from tests.journeys.watcher import Watcher

from trainshed.testing.server import Server
from trainshed.wire.model import OWN_MODELS

FILE = """
import pathlib
pathlib.Path("/opt/ml/model/model.txt").write_text("trained")
"""


@pytest.fixture
def restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shed]:
    monkeypatch.setenv("AWS_DATA_PATH", str(OWN_MODELS))
    server = Server(tmp_path / "data", settings(tmp_path))
    shed = Shed(server.start(), tmp_path)
    yield shed
    if server.running:
        server.stop()


def test_both_are_told_all_there_is_to_know(restarted: Shed) -> None:
    shed, server = restarted, restarted.server
    with Watcher(shed) as one, Watcher(shed) as other:
        both = (one, other)
        first = shed.create(FILE)
        until(lambda: all(each.last(first) == "Completed" for each in both))
        # A server that stops lets nobody wait, so it does not wait for them.
        server.stop()
        assert "graceful shutdown exceeded" not in server.said()
        server.start()
        shed.connect()
        second = shed.create(FILE)
        until(lambda: all(each.last(second) != "" for each in both))
        server.kill()
        server.start()
        shed.connect()
        until(lambda: all(each.last(second) == "Completed" for each in both))
        shed.ended(first)
        shed.sagemaker.delete_training_job(TrainingJobName=first)
        until(lambda: all(each.last(first) == "gone" for each in both))
        server.stop()
    assert "graceful shutdown exceeded" not in server.said()
    for each in both:
        assert each.begun == 1
        assert each.told == {
            first: ["InProgress", "Completed", "gone"],
            second: ["InProgress", "Completed"],
        }
        # A handful of changes of each job and a few long waits, not a call for every look.
        assert each.calls < 80
