"""The server's log: sentences for people, words for machines, and no secrets."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from trainshed.app.logging import Json, Text
from trainshed.app.settings import SettingsError, load
from trainshed.domain.subject import subject
from trainshed.domain.training import Attempt
from trainshed.testing.jobs import NOON, job
from trainshed.testing.server import Server

SECRET = "wJalr/XUtnFEMI+bPxRfiCYEXAMPLE"


def record(message: str, *arguments: object, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("trainshed.engine.loop").makeRecord(
        "trainshed.engine.loop", logging.WARNING, "", 0, message, arguments, None, extra=extra
    )
    made.created = NOON.timestamp() + 0.123
    return made


@pytest.fixture
def at_work() -> Iterator[None]:
    attempt = Attempt(number=2, backend="gpus", started=NOON)
    token = subject.set(replace(job("digits"), attempt=attempt))
    yield
    subject.reset(token)


def test_a_line_of_text_is_a_sentence_with_words_behind_it() -> None:
    line = Text().format(record("%d nodes cannot be seen", 2, host="algo-1", why="no answer"))
    assert line == (
        "2026-01-01T12:00:00.123Z WARNING trainshed.engine.loop: 2 nodes cannot be seen "
        'host=algo-1 why="no answer"'
    )


def test_a_record_is_one_line_whatever_its_message_holds() -> None:
    line = Text().format(record("%s", "two\nlines", why="and\nmore"))
    assert line.splitlines() == [line]
    line = Json().format(record("two\nlines"))
    assert line.splitlines() == [line]
    assert json.loads(line)["message"] == "two\nlines"


@pytest.mark.usefixtures("at_work")
def test_a_record_bears_the_job_that_is_worked_on() -> None:
    told = json.loads(Json().format(record("it goes on", host="algo-1", attempt=3)))
    assert told == {
        "time": "2026-01-01T12:00:00.123Z",
        "level": "warning",
        "logger": "trainshed.engine.loop",
        "message": "it goes on",
        "job": "digits",
        "arn": job("digits").arn,
        "attempt": 3,
        "backend": "gpus",
        "host": "algo-1",
    }


@pytest.mark.parametrize("form", [Text, Json])
def test_secrets_are_blotted_out_wherever_they_turn_up(form: type[logging.Formatter]) -> None:
    found = record("%s", SECRET, seen=SECRET, deep={"key": SECRET})
    try:
        int(SECRET)
    except ValueError as error:
        found.exc_info = (type(error), error, error.__traceback__)
    line = form((SECRET, "", "abc")).format(found)  # type: ignore[call-arg]
    assert SECRET not in line
    assert line.count("[secret]") >= 4
    assert "Traceback" in line


@pytest.mark.parametrize("told", [{"TRAINSHED_LOG_FORMAT": "xml"}, {"TRAINSHED_LOG_LEVEL": "all"}])
def test_an_environment_that_asks_for_what_is_not_there_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TRAINSHED_LOG_"):
        load(None, told)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trainshed.toml"
    path.write_text('log_format = "json"\nlog_level = "info"\n')
    found = load(path, {"TRAINSHED_LOG_LEVEL": "ERROR"})
    assert (found.log_format, found.log_level) == ("json", "error")


def test_a_server_logs_its_requests_with_who_asked_and_no_signature(tmp_path: Path) -> None:
    with Server(tmp_path / "data", 'log_format = "json"\nlog_requests = true\n') as server:
        signed = f"{server.url}/bucket/key?X-Amz-Signature=0123456789abcdef"
        assert requests.get(signed, timeout=60).status_code == 400
    (line,) = [json.loads(line) for line in server.said().splitlines()]
    assert line["message"] == "GET /bucket/key answered 400"
    assert line["ms"] > 0
    assert line["service"] == "s3"
    assert "0123456789abcdef" not in server.said()


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("debug", 2)])
def test_each_request_to_a_cluster_is_nobody_s_business_but_when_debugging(
    level: str, lines: int
) -> None:
    program = (
        "import logging; from trainshed.app.logging import configure\n"
        f"configure('text', {level!r})\n"
        "logging.getLogger('httpx2').info('GET https://10.0.0.1/api')\n"
        "logging.getLogger('trainshed').info('a node has begun')"
    )
    told = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=True)
    assert len(told.stderr.splitlines()) == lines
    assert b"a node has begun" in told.stderr
