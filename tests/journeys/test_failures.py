"""How a job that fails, or a server that cannot start, says why."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.shed import BUCKET, ROLE, Shed, channel

from trainshed.testing.server import TRAINSHED

BROKEN = """
import sys
def load(path):
    raise ValueError(f"column 'age' is missing in {path}")
print("loading", file=sys.stderr)
load("people.csv")
"""
LIMIT = 96 << 20


def test_a_traceback_ends_up_in_the_reason(shed: Shed) -> None:
    name = shed.create(BROKEN)
    assert shed.failed(name) == (
        "AlgorithmError: ValueError: column 'age' is missing in people.csv, exit code: 1"
    )
    told = shed.describe(name)
    assert told["SecondaryStatus"] == "Failed"
    assert told["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"
    assert "Traceback (most recent call last):" in shed.lines(name)


def test_a_traceback_in_script_mode_too(shed: Shed) -> None:
    reason = shed.failed(shed.create_in_script_mode({"train.py": BROKEN}))
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError")
    assert "ValueError: column 'age' is missing in people.csv" in reason
    assert reason.endswith(", exit code: 1")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit(3)", ["exit code: 3"]),
        ("import sys; sys.exit('no data today')", ["AlgorithmError: no data today, exit code: 1"]),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            ["killed by signal SIGSEGV (11)", "exit code: 139"],
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            ["killed by signal SIGKILL (9)", "exit code: 137"],
        ),
        (
            "open('/opt/ml/output/failure', 'w').write('the disk of the lab is full'); exit(7)",
            ["AlgorithmError: the disk of the lab is full, exit code: 7"],
        ),
    ],
)
def test_the_way_a_script_ended_is_told(shed: Shed, script: str, says: list[str]) -> None:
    # A first process is shielded from its own signals, so the script is the second.
    command = {"ContainerEntrypoint": ["/bin/sh", "-c", f"{sys.executable} $0; exit $?"]}
    arguments = {"ContainerArguments": [shed.script(script)]}
    reason = shed.failed(shed.create(algorithm={**command, **arguments}))
    for word in ["AlgorithmError", *says]:
        assert word in reason


def test_a_first_process_that_crashes(shed: Shed) -> None:
    reason = shed.failed(shed.create("import ctypes; ctypes.string_at(0)"))
    assert "killed by signal SIGSEGV (11)" in reason
    assert reason.endswith(", exit code: 139")


@pytest.fixture
def small() -> Iterator[Path]:
    """A memory cgroup with little room; version 2 where it has the controller."""
    root = Path("/sys/fs/cgroup")
    second = (root / "cgroup.controllers").exists()
    base = root if second else root / "memory"
    if second and "memory" not in (root / "cgroup.subtree_control").read_text():
        (root / "cgroup.subtree_control").write_text("+memory")
    group = base / f"trainshed-journey-{os.getpid()}"
    group.mkdir()
    (group / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(LIMIT))
    if (swap := group / "memory.swap.max").exists():
        swap.write_text("0")
    yield group
    group.rmdir()


def test_a_job_that_the_kernel_killed_for_its_memory_says_so(shed: Shed, small: Path) -> None:
    eater = (
        f"open('{small}/cgroup.procs', 'w').write('0')\nx = []\nwhile True: x.append(b'1' * 2**20)"
    )
    reason = shed.failed(shed.create(eater))
    assert reason.startswith("AlgorithmError: out of memory: the kernel killed the container")
    assert reason.endswith(", exit code: 137")


def test_a_missing_entrypoint_and_one_that_is_not_executable(shed: Shed) -> None:
    reason = shed.failed(shed.create(algorithm={"ContainerEntrypoint": ["/nowhere/train.sh"]}))
    assert "the entrypoint was not found" in reason
    assert "/nowhere/train.sh" in reason
    assert reason.endswith(", exit code: 127")
    plain = shed.script("echo never", "plain.sh")
    reason = shed.failed(shed.create(algorithm={"ContainerEntrypoint": [plain]}))
    assert "the entrypoint is not executable" in reason
    assert reason.endswith(", exit code: 126")


def test_requirements_that_cannot_be_installed(shed: Shed) -> None:
    files = {
        "train.py": "print('never reached')",
        "requirements.txt": "--no-index\nno-such-package-anywhere==1.0\n",
    }
    name = shed.create_in_script_mode(files)
    reason = shed.failed(name)
    assert "InstallRequirementsError" in reason
    assert "no-such-package-anywhere" in reason
    assert "never reached" not in shed.lines(name)


def test_a_channel_without_objects_is_refused_at_once(shed: Shed) -> None:
    with pytest.raises(shed.sagemaker.exceptions.ClientError) as refused:
        shed.create("print()", InputDataConfig=[channel("train", "nothing/here")])
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here" given in input data '
        "source. Please ensure that the bucket exists in the selected region (us-east-1), that "
        f'objects exist under that S3 prefix, and that the role "{ROLE}" has'
    )


def test_one_node_that_fails_ends_the_others(shed: Shed) -> None:
    name = shed.create(
        "import signal, socket, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('told to stop'))\n"
        "if socket.gethostname() == 'algo-2': sys.exit('had enough')\n"
        "signal.pause()",
        nodes=2,
    )
    reason = shed.failed(name)
    assert "exit code: 1" in reason
    assert reason.endswith("(algo-2)")
    assert "had enough" in shed.lines(name, "algo-2")
    assert "told to stop" in shed.lines(name, "algo-1")


def up(data: Path, *words: str) -> tuple[int, str]:
    """Return exit code and stderr of a server that should not start."""
    command = [TRAINSHED, "up", "--data-dir", data, *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[backends.local]\nmax_nodes = 0", "max_nodes"),
        ("[backends.local]\nmax_node = 3", "max_node"),
        ("account = '12'", "account"),
        ("not toml at all", "trainshed.toml"),
    ],
)
def test_bad_settings_are_named_and_no_server_starts(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "trainshed.toml").write_text(text)
    code, said = up(tmp_path, "--port", "0")
    assert code == 1
    assert f"settings file {tmp_path / 'trainshed.toml'}" in said
    assert says in said
    assert "Traceback" not in said
    code, said = up(tmp_path / "data", "--config", str(tmp_path / "none.toml"))
    assert code == 1
    assert "No such file" in said


def test_a_port_in_use_is_named(shed: Shed, tmp_path: Path) -> None:
    _, port = shed.server.address
    code, said = up(tmp_path, "--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_a_second_server_on_the_same_data_is_told_of_the_first(shed: Shed) -> None:
    code, said = up(shed.server.data, "--port", "0")
    assert code == 1
    assert f"a server for {shed.server.data} already runs at {shed.server.url}" in said
    assert "Traceback" not in said
    shed.sagemaker.list_training_jobs()
