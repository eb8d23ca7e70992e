"""What the operator says on stderr: lines like the server's, each a sentence and words.

2026-11-22T14:03:00.123Z INFO trainshed.operator.reconcile: Created: … object=trainingjobs/ml/digits
{"time": "2026-11-22T14:03:00.123Z", "level": "info", "logger": "…", "message": "…", "object": "…"}
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_OF_EVERY_RECORD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
)
_KOPF: Final = frozenset({"settings", "k8s_ref", "k8s_skip"})
"""What kopf has in its records for itself."""


def configure(shape: str, level: str) -> None:
    """Have everything logged on stderr.

    Args:
        shape: ``text`` or ``json``.
        level: ``debug``, ``info``, ``warning`` or ``error``: what is less is left out. What kopf
            says of each single event is left out unless it is ``debug``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if shape == "json" else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("kopf", "botocore", "urllib3", "aiohttp.access"):
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")
    # It runs on a thread, and warns that signals are somebody else's there.
    logging.getLogger("kopf._core.reactor.running").setLevel("ERROR")


class Text(logging.Formatter):
    """One record as a sentence with words behind it, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        told = " ".join(f"{name}={_plain(value)}" for name, value in _words(record).items())
        sentence = " ".join(record.getMessage().splitlines())
        line = f"{_time(record)} {record.levelname} {record.name}: {sentence}"
        return "\n".join(filter(None, (f"{line} {told}".rstrip(), _error(self, record))))


class Json(logging.Formatter):
    """One record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_words(record),
        }
        if error := _error(self, record):
            line["error"] = error
        return json.dumps(line, default=str)


def _words(record: logging.LogRecord) -> Mapping[str, Any]:
    left_out = _OF_EVERY_RECORD | _KOPF
    return {name: value for name, value in vars(record).items() if name not in left_out}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c in '"=' for c in text) else text


def _error(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
