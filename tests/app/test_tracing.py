"""Traces of jobs, as a collector gets them by OTLP over HTTP."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from tests.journeys.shed import Shed

from trainshed.app.tracing import Traces
from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.testing.jobs import NOON, job
from trainshed.testing.server import Server

_S = SecondaryStatus


class Collector(HTTPServer):
    """Takes traces, as the OpenTelemetry collector does at /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.got: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.got
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(ExportTraceServiceRequest.FromString(body))
        self.server.headers.append({k.lower(): v for k, v in self.headers.items()})
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def failed() -> tuple[TrainingJob, TrainingJob]:
    attempt = Attempt(number=1, backend="local", started=NOON)
    training = replace(job(), attempt=attempt).moved_to(_S.TRAINING, at=NOON + timedelta(seconds=2))
    over = training.moved_to(_S.FAILED, at=NOON + timedelta(seconds=62.5))
    return training, replace(over, failure_reason="AlgorithmError: ExitCode 1")


def test_a_job_that_ends_is_one_trace_with_its_attempts_and_phases() -> None:
    with collecting() as collector:
        traces = Traces(collector.url, {"authorization": "Bearer token"}, "1.2.3")
        training, over = failed()
        traces.note(job(), training)
        traces.note(training, over)
        traces.note(over, replace(over, cleaned=True))
        traces.close()
        spans = {span.name: span for span in collector.spans()}
    assert len(collector.spans()) == len(spans) == 4
    root, attempt, phase = spans["training job"], spans["attempt 1"], spans["Training"]
    assert len({span.trace_id for span in spans.values()}) == 1
    assert root.parent_span_id == b""
    assert attempt.parent_span_id == root.span_id
    assert phase.parent_span_id == spans["Starting"].parent_span_id == attempt.span_id
    assert root.start_time_unix_nano == int(NOON.timestamp()) * 10**9
    assert phase.end_time_unix_nano - phase.start_time_unix_nano == 60_500_000_000
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert root.status.message == "AlgorithmError: ExitCode 1"
    told = {each.key: each.value.string_value for each in root.attributes}
    assert told["trainshed.job"] == "digits"
    assert collector.headers[0]["authorization"] == "Bearer token"
    resource = collector.got[0].resource_spans[0].resource
    traits = {each.key: each.value.string_value for each in resource.attributes}
    assert (traits["service.name"], traits["service.version"]) == ("trainshed", "1.2.3")


def test_a_real_server_sends_what_became_of_a_job(tmp_path: Path) -> None:
    with collecting() as collector:
        settings = f'[telemetry]\nendpoint = "{collector.url}"\n'
        with Server(tmp_path / "data", settings) as server:
            shed = Shed(server, tmp_path)
            name = shed.create("print('hello')")
            assert shed.ended(name)["TrainingJobStatus"] == "Completed"
            told = shed.describe(name)
        spans = {span.name: span for span in collector.spans()}
    assert server.said() == ""
    assert {"training job", "attempt 1", "Training", "Uploading"} <= set(spans)
    root = spans["training job"]
    assert root.status.code == Status.STATUS_CODE_UNSET
    assert abs(root.end_time_unix_nano / 1e9 - told["TrainingEndTime"].timestamp()) < 0.01


@pytest.mark.filterwarnings("default")
def test_a_collector_that_is_not_there_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        url = collector.url
    traces = Traces(url, {}, "1.2.3")
    traces.note(*failed())
    traces.close()
    assert "export" in caplog.text.lower()


def test_without_the_extra_the_server_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from trainshed.app.tracing import Traces\n"
        "try:\n"
        "    Traces('http://127.0.0.1:4318', {}, '1')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"SettingsError" in told.stdout
    assert b"pip install 'trainshed[otel]'" in told.stdout


def test_a_server_without_telemetry_loads_none_of_it() -> None:
    program = "import sys, trainshed.app.serve; print([m for m in sys.modules if 'telemetry' in m])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout == b"[]\n"
