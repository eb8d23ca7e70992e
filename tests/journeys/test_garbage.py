"""Things that crashes leave: all of them are found, nothing else is, and then nothing is left."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, until

from trainshed.stores.logs.segments import Logs
from trainshed.testing.server import TRAINSHED, Server

WAITS = """
import os, pathlib, time
print("up", flush=True)
while not pathlib.Path(os.environ["GATE"]).exists():
    time.sleep(0.05)
"""
MOUNTS = """
import sys
from trainshed.agent.feeding.trial import Mounted, _Nothing
mounted = Mounted(_Nothing(), __import__("pathlib").Path(sys.argv[1]))
print("mounted", flush=True)
mounted.wait()
"""
OLD = time.time() - 3 * 24 * 3600


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Shed]:
    """A server of its own: what other tests leave is not this test's."""
    with Server(tmp_path / "data", settings(tmp_path)) as server:
        yield Shed(server, tmp_path)


def gc(shed: Shed, *options: str) -> list[dict[str, Any]]:
    """Return what was found; but for an engine that can't be asked, of which a socket is left."""
    command = [str(TRAINSHED), "gc", "--json", *options, "--data-dir", str(shed.server.data)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    found = json.loads(ran.stdout)
    assert ran.returncode == int(any(not each["Removed"] for each in found))
    return [each for each in found if each["Kind"] != "place"]


def named(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each["Kind"], each["Name"]) for each in found}


class Mess:
    """One of each, of jobs that are not there."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.made: set[tuple[str, str]] = set()
        self.processes: list[subprocess.Popen[bytes]] = []

    def make(self) -> None:
        self._nodes()
        self._processes()
        self._files()
        self._rows()

    def _nodes(self) -> None:
        folder = self.data / "nodes" / "aaaaaaaaaaaa.1.algo-1"
        (folder / "ml").mkdir(parents=True)
        (folder / "ml" / "model.bin").write_text("weights")
        self._note("node", folder)
        removed = self.data / "removed"
        removed.mkdir(exist_ok=True)
        (removed / "aaaaaaaaaaaa.2.algo-1").touch()  # of a moment ago: it still serves
        self._old("tombstone", removed / "aaaaaaaaaaaa.3.algo-1")

    def _processes(self) -> None:
        nodes = self.data / "nodes"
        marked = {**os.environ, "TRAINSHED_NODE": str(nodes / "bbbbbbbbbbbb.1.algo-1")}
        self._start(["sleep", "600"], marked)
        folder = nodes / "bbbbbbbbbbbb.2.algo-1"
        folder.mkdir()
        holds = self._start(["sh", "-c", f"exec sleep 600 3>{folder}/agent.lock"], None)
        until((folder / "agent.lock").exists)
        until(lambda: Path(f"/proc/{holds.pid}/exe").readlink().name == "sleep")
        (folder / "agent.lock").unlink()
        folder.rmdir()
        folder = nodes / "bbbbbbbbbbbb.3.algo-1"
        (folder / "view").mkdir(parents=True)
        self._note("node", folder)
        mounts = subprocess.Popen(
            [sys.executable, "-c", MOUNTS, str(folder / "view")], stdout=subprocess.PIPE
        )
        assert mounts.stdout is not None
        assert mounts.stdout.readline() == b"mounted\n"
        mounts.stdout.close()
        self.processes.append(mounts)
        self._note("mount", folder / "view")

    def _files(self) -> None:
        self._old("unfinished file", self.data / "port.new")
        self._old("unfinished file", self.data / "objects" / f"ready-{'0' * 16}.new")
        self._old("unfinished file", self.data / "logs" / "+making")
        self._old("unfinished file", self.data / "logs" / f"+going-{'0' * 16}")
        file = hashlib.md5(b"orphan", usedforsecurity=False).hexdigest()
        self._old("object file", self.data / "objects" / file[:2] / file)
        self._old("object file", self.data / "objects" / "incoming" / file)
        self._old("cache file", self.data / "cache" / "objects" / "parts" / "0123")
        names = self.data / "cache" / "attempts" / "cccccccccccc.1"
        names.mkdir(parents=True)
        (names / "algo-1").write_text("127.0.0.1 localhost")
        self._note("names of hosts", names)

    def _rows(self) -> None:
        with closing(sqlite3.connect(self.data / "trainshed.db", timeout=30)) as database:
            database.execute("INSERT INTO taken VALUES ('dddddddddddd', 1, 'algo-1', 3)")
            database.commit()
        self.made.add(("rows", "dddddddddddd"))

    def _start(self, command: list[str], environment: Any) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(command, env=environment)
        self.processes.append(started)
        self._note("process", started.pid)
        return started

    def _old(self, kind: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (OLD, OLD))
        self._note(kind, path)

    def _note(self, kind: str, what: object) -> None:
        self.made.add((kind, str(what)))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


async def test_one_of_each_kind_is_found_and_nothing_of_a_job_that_runs(shed: Shed) -> None:
    data = shed.server.data
    forgotten, living = (
        shed.create("print('done')"),
        shed.create(WAITS, Environment={"GATE": str(shed.folder / "gate")}),
    )
    shed.until_status(forgotten, "Completed", "Failed")
    shed.until_line(living, "up")
    shed.s3.put_object(Bucket=BUCKET, Key="kept", Body=b"kept")
    own = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": "a-user-s/own"}
    shed.logs.create_log_stream(**own)
    for path in data.glob("logs/**/*"):
        os.utime(path, (OLD, OLD))
    assert gc(shed, "--dry-run") == []
    (stream,) = [
        name
        for name in await Logs(data / "logs").stream_names("/aws/sagemaker/TrainingJobs") or ()
        if name.startswith(f"{forgotten}/")
    ]
    shed.forget(forgotten)
    mess = Mess(data)
    try:
        mess.make()
        made = mess.made | {("log stream", stream)}
        for _ in range(2):
            assert named(gc(shed, "--dry-run")) == made
        found = gc(shed)
        assert [each for each in found if not each["Removed"]] == []
        assert named(found) == made
        for process in mess.processes[:2]:
            assert process.wait(30) == -signal.SIGKILL
    finally:
        mess.end()
    assert gc(shed) == []
    assert shed.describe(living)["TrainingJobStatus"] == "InProgress"
    assert shed.s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"kept"
    assert (data / "removed" / "aaaaaaaaaaaa.2.algo-1").exists()
    assert shed.logs.describe_log_streams(logGroupName=own["logGroupName"])["logStreams"]
    (shed.folder / "gate").touch()
    told = shed.until_status(living, "Completed", "Failed")
    assert told["TrainingJobStatus"] == "Completed", told


def test_an_object_whose_bytes_are_lost_is_told_every_time_and_stays(shed: Shed) -> None:
    shed.s3.put_object(Bucket=BUCKET, Key="lost/one", Body=b"lost")
    (file,) = [path for path in (shed.server.data / "objects").glob("??/*") if path.is_file()]
    file.rename(shed.folder / "elsewhere")
    for _ in range(2):
        (found,) = gc(shed)
        assert (found["Kind"], found["Name"]) == ("object", f"s3://{BUCKET}/lost/one")
        assert str(file) in found["Reason"]
        assert not found["Removed"]
    (shed.folder / "elsewhere").rename(file)
    assert gc(shed) == []


def test_jobs_that_begin_and_end_meanwhile_are_none_of_its_business(shed: Shed) -> None:
    names = [shed.create("print('done')", nodes=1 + number % 2) for number in range(8)]
    for _ in range(4):
        assert gc(shed) == []
    for name in names:
        told = shed.until_status(name, "Completed", "Failed")
        assert told["TrainingJobStatus"] == "Completed", told
    assert gc(shed) == []
