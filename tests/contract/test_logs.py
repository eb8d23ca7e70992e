"""The job's lines in the log, and the numbers that are found in them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.job import Job
from tests.contract.place import Place

PRINTS = """
import sys
print("first line")
print("on stderr", file=sys.stderr)
print("größer als 日本")
print("  blanks kept  ")
print("x" * 10000, flush=True)
sys.stdout.buffer.write(b"no text: \\xff\\n")
sys.stdout.buffer.flush()
print("a\\tb")
print("loss=3.0")
print("epoch 1: loss=0.5, accuracy = 0.25 (good)")
print("loss=1e-3 accuracy = bad")
print("loss=-2.5e-1;")
print("speed 10 speed 20", file=sys.stderr)
print("count: 12")
print("loss=nan")
print("loss=inf", flush=True)
print("without a newline", end="")
"""
LOGS = Job(
    name="logs",
    main=PRINTS,
    algorithm={
        "MetricDefinitions": [
            {"Name": "train:loss", "Regex": r"loss=([0-9a-z.+-]+)"},
            {"Name": "accuracy", "Regex": "accuracy = (\\S+)"},
            {"Name": "speed", "Regex": "speed (\\d+)"},
            {"Name": "Anchored", "Regex": "^count: ([0-9]+)$"},
            {"Name": "two groups", "Regex": r"epoch (\d): loss=(\S+),"},
            {"Name": "never", "Regex": "never=(.*)"},
        ]
    },
)
HOSTS = Job(
    name="logs-hosts",
    nodes=2,
    main="import probe; print('I am', probe.config('resourceconfig')['current_host'])",
)
EXPECTED = {
    "train:loss": -0.25,
    "accuracy": 0.25,
    "speed": 10.0,
    "Anchored": 12.0,
    "two groups": 1.0,
}
"""``speed`` has two in one line: the first counts. ``accuracy`` and ``loss`` end in what is no
number."""


@pytest.mark.parametrize(
    "line",
    [
        "first line",
        "on stderr",
        "größer als 日本",
        "  blanks kept  ",
        "x" * 10000,
        "no text: \N{REPLACEMENT CHARACTER}",
        "a\tb",
        "without a newline",
    ],
    ids=["stdout", "stderr", "unicode", "blanks", "long", "no text", "tab", "last"],
)
def test_a_line_is_in_the_log(place: Place, line: str) -> None:
    assert place.run(LOGS).lines["algo-1"].count(line) == 1


def test_the_lines_of_a_stream_stay_in_order(place: Place) -> None:
    lines = place.run(LOGS).lines["algo-1"]
    ours = [line for line in lines if line in {"first line", "a\tb", "without a newline"}]
    assert ours == ["first line", "a\tb", "without a newline"]


def test_the_stream_is_named_by_job_host_and_time(place: Place) -> None:
    seen = place.run(LOGS)
    (stream,) = seen.streams
    found = re.fullmatch(rf"{seen.name}/algo-1-(\d+)", stream)
    assert found is not None
    started = datetime.fromtimestamp(int(found[1]) / 1000, UTC)
    assert abs(started - seen.told["CreationTime"]) < timedelta(minutes=1)


def test_each_host_has_a_stream(place: Place) -> None:
    seen = place.run(HOSTS)
    hosts = sorted(stream.split("/")[1].rpartition("-")[0] for stream in seen.streams)
    assert hosts == ["algo-1", "algo-2"]


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_a_hosts_lines_are_in_its_own_stream(place: Place, host: str) -> None:
    lines = place.run(HOSTS).lines[host]
    assert [line for line in lines if line.startswith("I am")] == [f"I am {host}"]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_last_number_of_a_metric_is_final(place: Place, name: str) -> None:
    told = place.run(LOGS).told["FinalMetricDataList"]
    values = [each["Value"] for each in told if each["MetricName"] == name]
    assert values == [pytest.approx(EXPECTED[name])]


def test_a_metric_that_no_line_has_is_not_told(place: Place) -> None:
    told = place.run(LOGS).told["FinalMetricDataList"]
    assert "never" not in {each["MetricName"] for each in told}


def test_a_metric_has_the_time_of_its_line(place: Place) -> None:
    told = place.run(LOGS).told
    for each in told["FinalMetricDataList"]:
        assert told["TrainingStartTime"] <= each["Timestamp"] <= told["TrainingEndTime"]


def test_without_definitions_no_metrics_are_told(place: Place) -> None:
    assert "FinalMetricDataList" not in place.run(HOSTS).told
