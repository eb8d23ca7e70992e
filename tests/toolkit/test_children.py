"""What the toolkit does as the first process of a container, and how little it loads."""

import signal
import sys

from tests.toolkit.conftest import TOOLKIT, Job

AS_FIRST_PROCESS = """\
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Orphans then come to the toolkit, as they do to process 1."""

LEAVES_AN_ORPHAN = """\
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    orphan = os.fork()
    if orphan:
        os.write(writer, b"%d" % orphan)
    os._exit(7)
os.wait()
orphan = int(os.read(reader, 20))
for _ in range(1000):
    if not os.path.exists(f"/proc/{orphan}"):
        print("collected")
        break
    time.sleep(0.02)
"""


def test_orphans_are_collected_and_not_taken_for_the_script(job: Job) -> None:
    job.code("train.py", LEAVES_AN_ORPHAN)
    toolkit = [sys.executable, "-I", "-S", str(TOOLKIT), "train"]
    ended = job.run(sys.executable, "-c", AS_FIRST_PROCESS, *toolkit)
    assert (ended.returncode, ended.stdout) == (0, "collected\n")


def test_a_plain_job_loads_nothing_that_is_slow_to_load(job: Job) -> None:
    job.code("train.py", "")
    job.variables["TRAINSHED_PYTHON"] = "/bin/true"  # the script's own imports are not the matter
    ended = job.run(sys.executable, "-I", "-S", "-X", "importtime", str(TOOLKIT), "train")
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "trainshed.toolkit.main" in loaded
    slow = {"subprocess", "traceback", "hashlib", "dataclasses", "inspect", "asyncio", "threading"}
    assert not loaded & slow


def test_the_script_finds_signals_as_a_shell_would_leave_them(job: Job) -> None:
    job.code("go.sh", "#!/bin/sh\ngrep -E 'SigBlk|SigIgn' /proc/self/status\n")
    blocked, ignored = (int(line.split()[1], 16) for line in job.run().stdout.splitlines())
    assert blocked == 0
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python itself ignores these two
        assert not ignored & 1 << (number - 1)
