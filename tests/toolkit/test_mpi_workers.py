"""Our remote shell between processes of this machine, with a stand-in for ``mpirun``."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.toolkit.conftest import TOOLKIT, Job

from trainshed.contract import script_mode
from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers import mpi, mpirun, remote

SECRET = f"a secret of thirty-two characters or more, {os.getpid()}"
HOSTS = ["127.0.0.1", "127.0.0.2"]


class Two:
    """The same job on two hosts."""

    def __init__(self, base: Path, secret: str) -> None:
        self.jobs = [Job(base / host) for host in HOSTS]
        folder = base / "bin"
        folder.mkdir()
        stand_in = Path(__file__).with_name("mpirun.py").read_text()
        (folder / "mpirun").write_text(stand_in.replace("/usr/bin/env python3", sys.executable))
        (folder / "mpirun").chmod(0o755)
        for host, job in zip(HOSTS, self.jobs, strict=True):
            job.variables = {
                "PATH": f"{folder}:{os.environ['PATH']}",
                "TRAINSHED_MPI_SECRET": secret,
                "OF": host,
            }
            resources = {"hosts": HOSTS, "current_host": host, "network_interface_name": "lo"}
            job.write_config(job.tree.resource_config, resources)

    def run(self, text: str) -> "list[subprocess.CompletedProcess[str]]":
        return self.wait(self.start(text))

    def start(self, text: str) -> "list[subprocess.Popen[bytes]]":
        for job in self.jobs:
            job.code("go.sh", text, sagemaker_mpi_enabled=True, lr=0.1)
        return [job.start() for job in self.jobs]

    def wait(
        self, started: "list[subprocess.Popen[bytes]]"
    ) -> "list[subprocess.CompletedProcess[str]]":
        found = []
        for process in started:
            out, err = process.communicate(timeout=100)
            ended = (process.args, process.returncode, out.decode(), err.decode())
            found.append(subprocess.CompletedProcess(*ended))
        return found


@pytest.fixture
def two(tmp_path: Path) -> Two:
    # On loopback the port goes by the secret, so that jobs of one machine do not meet.
    return Two(tmp_path, SECRET + str(tmp_path))


def test_a_worker_runs_what_mpirun_asks_with_its_own_variables(two: Two) -> None:
    first, worker = two.run('#!/bin/sh\necho "$OF $SM_CURRENT_HOST $2"; env | grep TRAINSHED_; :\n')
    assert (first.returncode, worker.returncode) == (0, 0)
    said = set(first.stdout.splitlines())
    assert said == {"127.0.0.1 127.0.0.1 0.1", "127.0.0.2 127.0.0.2 0.1", '{"codes": [0, 0]}'}
    assert (first.stderr, worker.stderr, worker.stdout) == ("", "", "")
    assert all(job.tree.success.exists() for job in two.jobs)


def test_output_of_any_size_and_the_exit_code_come_back(two: Two) -> None:
    text = (
        "#!/bin/sh\n[ $OF = 127.0.0.1 ] && exit 0\n"
        "head -c 3000000 /dev/zero | tr '\\0' x; echo last >&2; exit 7\n"
    )
    first, worker = two.run(text)
    assert (first.returncode, worker.returncode) == (7, 7)
    assert first.stdout.count("x") == 3_000_000
    assert "last" in first.stderr
    for job in two.jobs:
        assert "rank 1 on 127.0.0.2 failed first" in job.failure


def test_death_by_signal_comes_back_as_a_shell_shows_it(two: Two) -> None:
    first, _ = two.run("#!/bin/sh\n[ $OF = 127.0.0.1 ] || kill -SEGV $$\n")
    assert first.returncode == 139
    assert "killed by signal SIGSEGV" in two.jobs[0].failure


def test_when_the_first_host_dies_what_the_worker_runs_ends(two: Two) -> None:
    text = "#!/bin/sh\necho $$ $OF\nexec sleep 300\n"
    started = two.start(text)
    out = started[0].stdout
    assert out is not None
    pids = {of: int(pid) for pid, of in (out.readline().decode().split() for _ in HOSTS)}
    children = Path(f"/proc/{started[0].pid}/task/{started[0].pid}/children").read_text().split()
    for pid in [started[0].pid, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    for pid in [*agents_of(two), pids["127.0.0.1"]]:
        os.kill(pid, signal.SIGKILL)
    _, worker = two.wait(started)
    assert worker.returncode == 1
    assert "the connection to the first host broke" in two.jobs[1].failure
    assert not Path(f"/proc/{pids['127.0.0.2']}").exists()


def agents_of(two: Two) -> list[int]:
    """Return the remote shells of a job: killed with their host, where it is one."""
    mark = str(two.jobs[0].tree.base).encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                own = mark in (folder / "environ").read_bytes()
            except OSError:
                continue
            if own and b"rsh" in command:
                found.append(int(folder.name))
    return found


def test_sigterm_ends_worker_and_command(two: Two) -> None:
    started = two.start("#!/bin/sh\necho $$ $OF\nexec sleep 300\n")
    out = started[0].stdout
    assert out is not None
    pids = [int(out.readline().split()[0]) for _ in HOSTS]
    started[1].send_signal(signal.SIGTERM)
    os.kill(pids[0], signal.SIGTERM)
    first, worker = two.wait(started)
    assert worker.returncode == 143
    assert first.returncode != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("secret", ["", "short"])
def test_several_hosts_without_a_secret_are_refused(two: Two, secret: str) -> None:
    two.jobs[1].variables["TRAINSHED_MPI_SECRET"] = secret
    two.jobs[1].code("go.sh", "", sagemaker_mpi_enabled=True)
    assert two.jobs[1].run().returncode == 1
    assert "TRAINSHED_MPI_SECRET" in two.jobs[1].failure


def test_without_mpirun_the_job_says_what_to_install(job: Job) -> None:
    job.code("train.py", "", sagemaker_mpi_enabled=True)
    job.variables["PATH"] = str(job.tree.base)
    assert job.run().returncode == 1
    assert "there is no mpirun on the PATH" in job.failure
    assert "openmpi-bin" in job.failure


@pytest.mark.parametrize("has_mpi4py", [True, False])
def test_python_is_run_under_mpi4py_where_there_is_one(
    job: Job, tmp_path: Path, has_mpi4py: bool
) -> None:
    (tmp_path / "mpirun").write_text('#!/bin/sh\nfor each; do echo "$each"; done\n')
    (tmp_path / "mpirun").chmod(0o755)
    job.code("train.py", "", sagemaker_mpi_enabled=True)
    if has_mpi4py:
        (job.tree.code / "mpi4py.py").touch()
    job.variables["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    words = job.run().stdout.splitlines()
    if has_mpi4py:
        assert words[-4:] == [sys.executable, "-m", "mpi4py", "train.py"]
    else:
        assert words[-2:] == [sys.executable, "train.py"]
        assert words[0].startswith("trainshed: mpi4py is not installed")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with remote.listen("127.0.0.1", "lo", SECRET) as made:
        yield made


def test_a_host_listens_on_its_own_address_only(listener: socket.socket) -> None:
    address, port = listener.getsockname()
    assert address == "127.0.0.1"
    assert port == remote.port(address, SECRET)
    assert remote.port("10.0.0.1", SECRET) == script_mode.MPI_PORT == 7788


@pytest.fixture
def worker() -> "Iterator[subprocess.Popen[bytes]]":
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", str(TOOLKIT), "mpi-worker", "127.0.0.1", "lo"],
        env={"TRAINSHED_MPI_SECRET": SECRET, "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    mpi.wait_for(["127.0.0.1"], SECRET, within=30)
    yield started
    started.kill()
    started.communicate()


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", remote.port("127.0.0.1", SECRET)), 10)


def test_who_does_not_know_the_secret_has_nothing_run(
    worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    body = json.dumps({"do": "run", "command": f"touch {tmp_path}/evil"}).encode()
    with connect() as stranger:
        stranger.recv(32)
        stranger.sendall(b"\0" * 64 + len(body).to_bytes(4, "big") + body)
        assert stranger.recv(100) == b""
    assert worker.stdout is not None
    assert b"refused a connection from 127.0.0." in worker.stdout.readline()
    assert not (tmp_path / "evil").exists()


def test_a_request_heard_before_is_worth_nothing(
    worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    text = json.dumps({"do": "run", "command": f"echo x >> {tmp_path}/count"}).encode()
    with connect() as true:
        theirs, ours = true.recv(32), b"o" * 32
        proof = remote.prove(SECRET, b"request", theirs, ours, text)
        heard = ours + proof + len(text).to_bytes(4, "big") + text
        true.sendall(heard)
        assert len(true.recv(32)) == 32
        assert true.recv(100).endswith(b"0")
    with connect() as again:
        again.recv(32)
        again.sendall(heard)
        assert again.recv(100) == b""
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_request_too_large_is_not_read(worker: "subprocess.Popen[bytes]") -> None:
    with connect() as stranger:
        stranger.recv(32)
        stranger.sendall(b"\0" * 64 + b"\xff\xff\xff\xff")
        assert stranger.recv(100) == b""


def test_who_pretends_to_be_a_worker_is_found_out(listener: socket.socket) -> None:
    def pretend() -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"\0" * 32)
            connection.recv(1000)
            connection.sendall(b"\0" * 32)

    pretender = threading.Thread(target=pretend, daemon=True)
    pretender.start()
    with pytest.raises(remote.Refused, match="does not know this job's secret"):
        remote.ask("127.0.0.1", SECRET, {"do": "ping"})
    pretender.join(10)


def test_a_host_that_never_listens_fails_the_job_by_its_name() -> None:
    with pytest.raises(ToolkitError, match=r"127\.0\.0\.1 does not listen after 0 s"):
        mpi.wait_for(["127.0.0.1"], "nobody knows " * 3, within=0)


SAYS = {
    "a signal": "mpirun noticed that process rank 3 with PID 0 on node b exited on signal 9 (Kill",
    "an abort": "MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD",
    "an exit code": "  Process name: [[38533,1],3]\n  Exit code:    3",
    "a traceback": "[1,3]<stderr>:Traceback (most recent call last):\n[1,3]<stderr>:ValueError: x",
}


@pytest.mark.parametrize("name", SAYS)
def test_mpiruns_own_words_tell_who_failed(name: str) -> None:
    call = mpirun.Mpirun(["a", "b"], 2, 4, "eth0", "")
    assert "rank 3 on b failed first" in call.explained(1, SAYS[name], ["mpirun"])


def test_the_failing_process_is_heard_and_not_the_others() -> None:
    said = (
        "[1,0]<stderr>:KeyError: 'other'\n[1,1]<stderr>:Traceback (most recent call last):\n"
        '[1,1]<stderr>:  File "<frozen runpy>", line 198, in _run_module_as_main\n'
        '[1,1]<stderr>:  File "/x/mpi4py/run.py", line 7, in main\n[1,1]<stderr>:    go()\n'
        '[1,1]<stderr>:  File "train.py", line 5, in <module>\n[1,0]<stderr>:noise\n'
        "[1,1]<stderr>:ValueError: no loss\n  Process name: [[1,1],1]\n"
    )
    text = mpirun.Mpirun(["a", "b"], 1, 2, "eth0", "").explained(1, said, ["mpirun"])
    shown = 'Traceback (most recent call last):\n  File "train.py", line 5, in <module>\nValueError'
    assert shown in text
    assert "KeyError" not in text


def test_a_host_that_mpirun_lost_is_named() -> None:
    said = (
        "ORTE has lost communication with a remote daemon.\n\n  HNP daemon   : [[1,0],0] on node "
        "algo-1\n  Remote daemon: [[1,0],1] on node algo-2\n"
    )
    text = mpirun.Mpirun(["algo-1", "algo-2"], 1, 2, "eth0", "").explained(1, said, ["mpirun"])
    assert "mpirun lost the host algo-2" in text
