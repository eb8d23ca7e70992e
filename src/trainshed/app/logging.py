"""What the server says on stderr: a sentence for people and words for machines, in one line each.

    2026-11-22T14:03:00.123Z WARNING trainshed.engine.loop: its nodes cannot be seen job=digits …
    {"time": "2026-11-22T14:03:00.123Z", "level": "warning", "logger": "…", "message": "…", …}

Times are UTC. The words are those of the record's ``extra`` and of the job that is worked on
(``domain.subject``). Keys and tokens never appear: those that the server knows are blotted out,
wherever a message, a word or a traceback may have picked them up.
"""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trainshed.domain.subject import words

_BLOT: Final = "[secret]"
_SHORTEST: Final = 8
"""Characters of a text below which it is not blotted out: it would spoil what is none."""
_CHATTY: Final = ("httpcore2", "httpx2")
"""Loggers of libraries that tell of every request, each of which is somebody's small step."""
_OF_EVERY_RECORD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
)


def configure(shape: str, level: str, secrets: Iterable[str] = ()) -> None:
    """Have everything logged on stderr.

    Args:
        shape: ``text`` or ``json``.
        level: ``debug``, ``info``, ``warning`` or ``error``: what is less is left out.
        secrets: texts that must not appear.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json(secrets) if shape == "json" else Text(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")


class Text(logging.Formatter):
    """One record as a sentence with words behind it, a traceback below."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Blot ``secrets`` out."""
        super().__init__()
        self._secrets = _worth_hiding(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        told = " ".join(f"{name}={_plain(value)}" for name, value in _told(record).items())
        sentence = " ".join(record.getMessage().splitlines())
        line = f"{_time(record)} {record.levelname} {record.name}: {sentence}"
        lines = [f"{line} {told}" if told else line]
        if error := _error(self, record):
            lines.append(error)
        return _hidden("\n".join(lines), self._secrets)


class Json(logging.Formatter):
    """One record as a JSON object."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Blot ``secrets`` out."""
        super().__init__()
        self._secrets = _worth_hiding(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_told(record),
        }
        if error := _error(self, record):
            line["error"] = error
        # Before it becomes JSON, whose escapes would hide a secret from us.
        clean = {
            name: _hidden(value, self._secrets) if isinstance(value, str) else value
            for name, value in line.items()
        }
        return _hidden(json.dumps(clean, default=str), self._secrets)


def _told(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the machine's words of a record; its own go before those of the subject."""
    own = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
    return {**words(), **own}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c in '"=' for c in text) else text


def _error(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told = formatter.formatException(record.exc_info) if record.exc_info else ""
    stack = formatter.formatStack(record.stack_info) if record.stack_info else ""
    return "\n".join(filter(None, (told, stack)))


def _worth_hiding(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return what to look for, the longest first: one may be a part of another."""
    return tuple(sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True))


def _hidden(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _BLOT)
    return text
