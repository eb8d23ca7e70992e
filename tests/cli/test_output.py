import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.cli import exits, explain, output
from trainshed.cli.hints import hint
from trainshed.domain import sizes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.16, "0.2s"),
        (59.9, "59.9s"),
        (59.97, "1m00s"),
        (65, "1m05s"),
        (3599.7, "1h00m"),
        (10920, "3h02m"),
        (187_200, "2d04h"),
        (-1, "0.0s"),
    ],
)
def test_a_duration_is_said_in_two_units(seconds: float, text: str) -> None:
    assert output.span(seconds) == text


def test_sizes_and_ages_are_said_in_one_unit() -> None:
    assert [sizes.written(n) for n in (0, 999, 1000, 999_960, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.0 MB",
        "5.0 TB",
    ]
    ages = [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=5), timedelta(days=50)]
    assert [output.ago((NOON - age).timestamp(), NOON) for age in ages] == [
        "5s ago",
        "5m ago",
        "5h ago",
        "50d ago",
    ]


def test_moments_are_dates_in_json_and_other_numbers_stay() -> None:
    answer = {"CreationTime": NOON.timestamp(), "BillableTimeInSeconds": 3, "L": [{"EndTime": 0}]}
    assert json.loads(output.dumps(answer)) == {
        "CreationTime": "2026-01-01T12:00:00.000+00:00",
        "BillableTimeInSeconds": 3,
        "L": [{"EndTime": "1970-01-01T00:00:00.000+00:00"}],
    }


@given(st.lists(st.tuples(st.text("abc ", max_size=9), st.text("xyz", min_size=1))))
def test_the_columns_of_a_table_begin_below_each_other(rows: list[tuple[str, str]]) -> None:
    lines = output.table(["ONE", "TWO"], rows).splitlines()
    begin = lines[0].index("TWO")
    assert [line[begin:] for line in lines[1:]] == [second for _, second in rows]


def test_colours_take_no_room_in_a_table() -> None:
    red = "\033[31mFailed\033[0m"
    lines = output.table(["STATUS", "X"], [[red, "1"], ["Failed", "2"]]).splitlines()
    assert lines[1].replace("\033[31m", "").replace("\033[0m", "") == "Failed  1"
    assert lines[2] == "Failed  2"


@pytest.mark.parametrize(
    ("status", "secondary", "code"),
    [
        ("Completed", "Completed", 0),
        ("InProgress", "Training", 0),
        ("Failed", "Failed", 3),
        ("Stopped", "Stopped", 4),
        ("Stopped", "MaxRuntimeExceeded", 5),
        ("Stopped", "MaxWaitTimeExceeded", 5),
    ],
)
def test_how_a_job_ended_is_its_exit_code(status: str, secondary: str, code: int) -> None:
    assert exits.of_job({"TrainingJobStatus": status, "SecondaryStatus": secondary}) == code


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("AlgorithmError: , exit code: 137", "memory"),
        ("AlgorithmError: ModuleNotFoundError: No module named 'x'", "requirements.txt"),
        ('ErrorMessage "/usr/bin/python3: No module named pip"', "without pip"),
        ("train.py: error: unrecognized arguments: --x 1, exit code: 2", "argparse"),
        ("ClientError: Data download failed: S3 key: s3://b/k matched no files on s3", "--data"),
        ("AlgorithmError: something else, exit code: 1", "trainshed logs j-1"),
    ],
)
def test_a_failure_comes_with_something_to_do(reason: str, words: str) -> None:
    assert words in hint(reason, "j-1")


def test_a_reason_that_says_what_to_do_needs_no_hint() -> None:
    assert hint("ClientError: the image cannot be pulled. What to do: log in", "j-1") == ""
    assert (
        hint("AlgorithmError: out of memory: the kernel killed the container; use …", "j-1") == ""
    )
    assert hint("AlgorithmError: there was no room left on what it wrote to: make …", "j-1") == ""
    assert hint("ClientError: channel train matched no files on s3", "j-1") != ""


def test_the_phases_of_several_nodes_are_told_as_one_with_the_longest() -> None:
    nodes = [
        {"Phase": "Download", "AttemptNumber": 1, "Host": f"algo-{n}", "StartTime": 10.0 + n,
         "Seconds": 5.0 * n, "EndTime": 10.0 + 6 * n, "Cost": 1.0}
        for n in (1, 2)
    ]  # fmt: skip
    job = {
        "TrainingJobName": "j",
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Downloading",
        "CreationTime": 0.0,
        "Priority": 50,
        "Preemptible": False,
        "Attempts": [],
        "Phases": [{"Phase": "Queue", "StartTime": 0.0, "Seconds": 11.0, "EndTime": 11.0}, *nodes],
    }
    lines = explain.lines_of(job)
    assert lines[-2].split() == ["Queue", "11.0s"]
    assert lines[-1].split() == ["Download", "11.0s", "2", "nodes,", "longest", "algo-2", "2.00"]
