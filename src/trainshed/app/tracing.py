"""Sends a trace of each job that ends to an OpenTelemetry collector, by OTLP over HTTP.

Loaded only where the settings ask for it: the libraries are an extra, and take a third of a second.
A trace is sent once, by the server that wrote the job's end; one that a collector does not take, or
whose server was killed in that moment, is lost. Records are kept elsewhere.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trainshed.app.settings import SettingsError
from trainshed.domain.training import TrainingJob
from trainshed.engine.traces import Span, trace

_TIMEOUT_SECONDS: Final = 3.0
"""Of one request; while the server ends, what a collector does not take in that time is dropped."""
_PATH: Final = "/v1/traces"


class Traces:
    """Traces on their way to a collector. They are sent on a thread of its own."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], version: str) -> None:
        """Send to ``endpoint``, such as ``http://127.0.0.1:4318``.

        Raises:
            SettingsError: the libraries are not installed.
        """
        try:
            # The extra: whoever sends no traces has none of them.
            from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.trace import StatusCode, set_span_in_context  # noqa: PLC0415
        except ImportError as error:
            raise SettingsError(
                f"[telemetry] names {endpoint}, but what sends traces is not installed "
                f"({error.name}): pip install 'trainshed[otel]', or remove [telemetry]"
            ) from error
        exporter = trace_exporter.OTLPSpanExporter(
            endpoint=endpoint.rstrip("/") + _PATH, headers=dict(headers), timeout=_TIMEOUT_SECONDS
        )
        traits = {"service.name": "trainshed", "service.version": version}
        self._provider = TracerProvider(resource=Resource.create(traits), shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(exporter)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("trainshed", version)
        self._failed: Any = StatusCode.ERROR
        self._below: Any = set_span_in_context

    def note(self, old: TrainingJob, new: TrainingJob) -> None:
        """Send the trace of a job that a write has ended."""
        if new.over and not old.over:
            self._send(trace(new), None)

    def close(self) -> None:
        """Send what is left, within a few seconds, and end."""
        self._provider.shutdown()

    def _send(self, span: Span, parent: Any) -> None:  # noqa: ANN401 - a context of the extra's
        begun = self._tracer.start_span(
            span.name,
            context=parent,
            start_time=_nanoseconds(span.start),
            attributes=dict(span.attributes),
        )
        if span.error:
            begun.set_status(self._failed, span.error)
        context = self._below(begun)
        for child in span.children:
            self._send(child, context)
        begun.end(end_time=_nanoseconds(span.end))


def _nanoseconds(moment: datetime) -> int:
    """Return the time since the epoch, exact to the microsecond."""
    return int(moment.timestamp() * 1_000_000) * 1000
