"""How a container's end becomes the job's: exit codes, signals, the failure file."""

import pytest
from tests.contract.job import Job, channel
from tests.contract.place import Place

KILL = "import os, signal\nos.kill(os.getpid(), signal.{})\n"
CHILD = "import subprocess, sys\nended = subprocess.run([sys.executable, '-c', {!r}])\n"
PASSED_ON = CHILD + "sys.exit(128 - ended.returncode)\n"
FAILS = "import probe, sys\nprobe.write('output/failure', {})\nsys.exit({})\n"

ENDS = {
    "exit-0": ("", ""),
    "exit-0-with-failure": (FAILS.format("'not really'", 0), ""),
    "exit-1": ("raise SystemExit(1)", "AlgorithmError: , exit code: 1"),
    "exit-255": ("raise SystemExit(255)", "AlgorithmError: , exit code: 255"),
    "says-why": (
        "import sys; sys.exit('no data today')",
        "AlgorithmError: no data today, exit code: 1",
    ),
    "traceback": (
        "def load(): raise ValueError('column 3 is empty')\nload()",
        "AlgorithmError: ValueError: column 3 is empty, exit code: 1",
    ),
    "failure-file": (
        FAILS.format("'the disk is full'", 7),
        "AlgorithmError: the disk is full, exit code: 7",
    ),
    "failure-file-unicode": (
        FAILS.format("'größer\\nals 日本\\n'", 1),
        "AlgorithmError: größer\nals 日本, exit code: 1",
    ),
    "failure-file-no-text": (
        FAILS.format("b'bad \\xff byte'", 1),
        "AlgorithmError: bad \N{REPLACEMENT CHARACTER} byte, exit code: 1",
    ),
    "failure-file-wins": (
        "import probe, sys\nprobe.write('output/failure', 'of the file')\nsys.exit('of stderr')",
        "AlgorithmError: of the file, exit code: 1",
    ),
    "failure-file-empty": (
        "import probe, sys\nprobe.write('output/failure', '')\nsys.exit('of stderr')",
        "AlgorithmError: of stderr, exit code: 1",
    ),
    "segfault": (
        "import ctypes; ctypes.string_at(0)",
        "AlgorithmError: killed by signal SIGSEGV (11), exit code: 139",
    ),
    "child-segfault": (
        PASSED_ON.format(KILL.format("SIGSEGV")),
        "AlgorithmError: killed by signal SIGSEGV (11), exit code: 139",
    ),
}
KILLED = Job(name="child-killed", main=PASSED_ON.format(KILL.format("SIGKILL")))
LONG = Job(name="failure-file-long", main=FAILS.format("'x' * 5000 + 'end'", 9))
LONG_TRACE = Job(name="failure-long-line", main="raise ValueError('y' * 5000)")
LINK = Job(
    name="failure-file-link",
    main="import os, sys\nos.symlink('/etc/passwd', '/opt/ml/output/failure')\nsys.exit(1)",
)
FOLDER = Job(
    name="failure-file-folder",
    main="import os, sys\nos.mkdir('/opt/ml/output/failure')\nsys.exit(4)",
)
KEEPS = Job(
    name="failed-keeps",
    main="import probe, sys\nprobe.write('model/half', '1')\nprobe.write('output/data/why', '2')\n"
    "sys.exit(1)",
)
MISSING = Job(
    name="entrypoint-missing",
    algorithm={"ContainerEntrypoint": ["/nowhere/train.sh"]},
)
UNKNOWN = Job(name="entrypoint-unknown", algorithm={"ContainerEntrypoint": ["no-such-program"]})
PLAIN = Job(
    name="entrypoint-plain",
    objects={"entrypoint-plain/data/run.sh": b"#!/bin/sh\ntrue\n"},
    channels=[channel("data", "entrypoint-plain/data/")],
    algorithm={"ContainerEntrypoint": ["/opt/ml/input/data/data/run.sh"]},
)


def ending(name: str) -> Job:
    return Job(name=f"ends-{name}", main=ENDS[name][0] or "pass")


FAILING = [name for name, (_, reason) in ENDS.items() if reason]


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_end_has_its_reason(place: Place, name: str) -> None:
    assert place.run(ending(name)).reason == ENDS[name][1]


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_end_is_the_status_failed(place: Place, name: str) -> None:
    assert place.run(ending(name)).status == ("Failed", "Failed")


@pytest.mark.parametrize("name", ["exit-0", "exit-0-with-failure"])
def test_exit_code_0_is_the_status_completed(place: Place, name: str) -> None:
    assert place.run(ending(name)).status == ("Completed", "Completed")


@pytest.mark.parametrize("name", ["exit-0", "exit-0-with-failure"])
def test_exit_code_0_has_no_failure_reason(place: Place, name: str) -> None:
    assert "FailureReason" not in place.run(ending(name)).told


def test_a_program_that_was_killed_hints_at_memory(place: Place) -> None:
    reason = place.run(KILLED).reason
    assert reason.startswith("AlgorithmError: killed by signal SIGKILL (9); if nobody stopped it")
    assert reason.endswith(", exit code: 137")


@pytest.mark.parametrize("job", [LONG, LONG_TRACE], ids=["file", "traceback"])
def test_a_reason_has_at_most_1024_characters(place: Place, job: Job) -> None:
    assert len(place.run(job).reason) == 1024


def test_of_a_long_failure_file_the_beginning_is_kept_and_the_exit_code(place: Place) -> None:
    reason = place.run(LONG).reason
    assert reason.startswith(f"AlgorithmError: {'x' * 900}")
    assert reason.endswith(", exit code: 9")


def test_a_failure_file_that_is_a_link_is_not_followed(place: Place) -> None:
    assert place.run(LINK).reason == "AlgorithmError: , exit code: 1"


def test_a_failure_file_that_is_a_folder_says_nothing(place: Place) -> None:
    assert place.run(FOLDER).reason == "AlgorithmError: , exit code: 4"


def test_a_failed_job_keeps_the_model_it_has_made(place: Place) -> None:
    assert place.run(KEEPS).model == {"half": b"1"}


def test_a_failed_job_keeps_its_other_output(place: Place) -> None:
    assert place.run(KEEPS).output == {"why": b"2"}


@pytest.mark.parametrize(
    ("job", "named"), [(MISSING, "/nowhere/train.sh"), (UNKNOWN, "no-such-program")]
)
def test_an_entrypoint_that_is_missing_is_exit_code_127_and_named(
    place: Place, job: Job, named: str
) -> None:
    reason = place.run(job).reason
    assert reason.startswith("AlgorithmError: the entrypoint was not found")
    assert named in reason
    assert reason.endswith(", exit code: 127")


def test_an_entrypoint_that_is_not_executable_is_exit_code_126(place: Place) -> None:
    reason = place.run(PLAIN).reason
    assert reason.startswith("AlgorithmError: the entrypoint is not executable")
    assert reason.endswith(", exit code: 126")


def test_a_program_that_found_no_room_to_write_says_so(place: Place) -> None:
    job = Job(name="no-room", main="with open('/dev/full', 'w') as file: file.write('x')")
    reason = place.run(job).reason
    assert reason.startswith("AlgorithmError: OSError: [Errno 28] No space left on device")
    assert "there was no room left on what it wrote to" in reason


def test_a_program_that_another_cannot_find_is_exit_code_127_too(place: Place) -> None:
    job = Job(
        name="shell-127", algorithm={"ContainerEntrypoint": ["/bin/sh", "-c", "nothing-here"]}
    )
    reason = place.run(job).reason
    assert "nothing-here" in reason
    assert reason.endswith(", exit code: 127")
