import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.client.fake_server import FakeServer, announce

from trainshed.client.errors import ServerUnreachable
from trainshed.client.server import Server, find, port_is_free, start, stop

ROOT = Path(__file__).parents[2]


def now() -> datetime:
    return datetime.now(UTC)


def command(data_dir: Path, how: str = "works") -> list[str]:
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    program = path + "from tests.client.little_server import main; from pathlib import Path; "
    return [sys.executable, "-c", program + f"main(Path({str(data_dir)!r}), {how!r})"]


def test_a_running_server_is_found_by_its_folder(fake: FakeServer, tmp_path: Path) -> None:
    announce(fake, tmp_path, os.getpid())
    found = find(tmp_path, now)
    assert found is not None
    assert (found.url, found.pid, found.version) == (fake.url, os.getpid(), "0.0.fake")
    assert found.credentials.access_key == "AKFAKE"


def test_no_server_is_found_where_none_is_or_only_its_file_is(
    fake: FakeServer, tmp_path: Path
) -> None:
    assert find(tmp_path, now) is None
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    announce(fake, tmp_path, dead.pid)
    assert find(tmp_path, now) is None
    announce(FakeServer(url="http://127.0.0.1:9"), tmp_path, os.getpid())
    assert find(tmp_path, now) is None
    for broken in ("", "{", "[]", '{"pid": 1}'):
        (tmp_path / "server.json").write_text(broken)
        assert find(tmp_path, now) is None


def test_a_server_is_started_once_found_again_and_stopped(tmp_path: Path) -> None:
    data_dir = tmp_path / "new"

    def begin(_: int) -> tuple[Server, bool]:
        return start(data_dir, command(data_dir), now=now, sleep=time.sleep)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(begin, range(4)))
    try:
        assert sorted(started for _, started in results) == [False, False, False, True]
        assert len({server.pid for server, _ in results}) == 1
        assert (data_dir / "starts").read_text() == "x"
    finally:
        stop(results[0][0], sleep=time.sleep)
    assert find(data_dir, now) is None
    stop(results[0][0], sleep=time.sleep)


def test_a_server_that_ended_unnoticed_by_its_parent_does_not_run(
    fake: FakeServer, tmp_path: Path
) -> None:
    # Its parent (the shell's child) sleeps, and asks nobody how they ended.
    program = "import os, subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', '']);"
    program += "print(p.pid, flush=True); os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT);"
    program += "print('ended', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        ended = int(parent.stdout.readline())
        assert parent.stdout.readline() == b"ended\n"
        announce(fake, tmp_path, ended)
        assert find(tmp_path, now) is None
        parent.kill()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="in the hands of somebody else") as caught:
        start(tmp_path, command(tmp_path, "fails"), now=now, sleep=time.sleep)
    assert "server.log" in caught.value.remedy


def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    starts = tmp_path / "starts"

    def sleep(seconds: float) -> None:
        # Its time runs only after it is up, so that a slow machine proves the same.
        pause = threading.Event()
        while not starts.exists():
            pause.wait(0.01)

    with pytest.raises(ServerUnreachable, match="did not answer within 1 s"):
        start(tmp_path, command(tmp_path, "silent"), now=now, sleep=sleep, timeout=1.0)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)
