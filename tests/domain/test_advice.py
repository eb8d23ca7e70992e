"""Every reason that the source has comes with something to do, in at most two lines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import trainshed
from trainshed.contract.exits import failure_reason
from trainshed.domain.advice import _TABLE, advice, says_what_to_do
from trainshed.domain.training import MESSAGES, SecondaryStatus

SOURCE = Path(trainshed.__file__).parent
REASON = re.compile(r"(AlgorithmError|ClientError|InternalServerError|CapacityError): ?\S")


def reasons_of_the_source() -> Iterator[str]:
    """Yield every text that begins as a reason does; what is filled in is a word there."""
    for path in sorted(SOURCE.rglob("*.py")):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            text = ""
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "12" for v in node.values)
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            if REASON.match(text):
                yield text


def test_every_reason_of_the_source_comes_with_advice() -> None:
    found = list(reasons_of_the_source())
    assert len(found) > 40
    assert [text for text in found if not advice(text)] == []


def test_advice_is_at_most_two_lines_and_each_fits_a_terminal() -> None:
    for pattern, lines in _TABLE:
        assert 1 <= len(lines) <= 2, pattern
        assert all(0 < len(line) <= 110 and "\n" not in line for line in lines), pattern


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (failure_reason(137, "", "", oom=True), "memory"),
        (failure_reason(137, "", "Killed", oom=False), "memory"),
        (failure_reason(139, "", "", oom=False), "SIGSEGV"),
        (failure_reason(127, "", "", oom=False), "--entrypoint"),
        (failure_reason(126, "", "", oom=False), "chmod"),
        (failure_reason(126, "", "exec format error", oom=False), "processor"),
        (failure_reason(1, "", "", oom=False, disk_full=True), "disk"),
        (failure_reason(1, "", "OSError: [Errno 28] No space left on device", oom=False), "shm"),
        (
            failure_reason(1, "", "torch.cuda.OutOfMemoryError: CUDA out of memory", oom=False),
            "GPU",
        ),
        (failure_reason(1, "", "ModuleNotFoundError: No module named 'x'", oom=False), "package"),
        (failure_reason(1, "", "PermissionError: [Errno 13] Permission denied", oom=False), "user"),
        (failure_reason(1, "", "something else", oom=False), "trainshed logs JOB"),
        ("ClientError: Data download failed:S3 key: s3://b/k matched no files on s3", "--data"),
        ("ClientError: Data download failed:s3://b/k was refused: AccessDenied", "keys"),
        ("ClientError: Checkpoint download failed: damaged", "--checkpoints"),
        ("ClientError: Artifact upload failed:s3://b/ was refused", "S3OutputPath"),
        ('ClientError: there is no image "x" at docker.io: no', "docker login"),
        ("ClientError: no environment is mapped to the image 'x'; add a pattern", "backends"),
        ("CapacityError: Unable to provision requested ML compute capacity.", "--instance"),
        (
            "CapacityError: Unable … The job asks for 9 nodes, the backend 'a' has at most 3",
            "--nodes",
        ),
        ("ClientError: ResourceLimitExceeded: the project 'a' may use 2 GPUs", "quota raised"),
        (
            "Training job waiting for capacity: the project 'a' may run 2 jobs at once, and does",
            "its",
        ),
        (
            "waiting for capacity: the backend 'a' has no 'b' to give just now and is asked again",
            "a,b",
        ),
        ("InternalServerError: the agent on algo-1 vanished, and again", "--retries"),
        ("InternalServerError: anything", "platform"),
        (MESSAGES[SecondaryStatus.MAX_RUNTIME_EXCEEDED], "--max-time"),
        (MESSAGES[SecondaryStatus.MAX_WAIT_TIME_EXCEEDED], "--max-wait"),
        ("Training job waiting for capacity: 4 of 4 nodes are in use", "trainshed queue"),
        ("Checkpoints: no such bucket", "not stored"),
        ("a spot node was taken back", "--checkpoints"),
        (
            "InternalServerError: algo-1 was taken away: x; a job goes on after that when it has",
            "--sp",
        ),
        ("a drill that somebody asked for", "nothing has to be done"),
    ],
)
def test_what_people_meet_comes_with_the_advice_for_it(reason: str, words: str) -> None:
    assert words in " ".join(advice(reason)), advice(reason)


def test_advice_names_the_job() -> None:
    assert "trainshed logs digits" in advice("AlgorithmError: , exit code: 1", "digits")[0]


def test_what_nobody_has_met_comes_without_advice() -> None:
    assert advice("all is well") == ()


def test_reasons_that_hold_their_own_advice_are_known() -> None:
    assert says_what_to_do(failure_reason(137, "", "", oom=True))
    assert says_what_to_do("ClientError: no access. What to do: docker login")
    assert not says_what_to_do("AlgorithmError: , exit code: 1")
