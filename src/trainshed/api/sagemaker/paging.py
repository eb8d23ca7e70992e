"""NextToken: where the page before ended, bound to the question that was asked.

A token is opaque to clients. It holds a position, not a number of rows, so pages neither repeat
nor miss a job that was there all along, whatever comes and goes between two pages.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trainshed.api.sagemaker.rejections import invalid
from trainshed.wire.message import Call

DEFAULT_PAGE: Final = 10
"""Results a page when the caller does not say."""
_SEAL: Final = 6
"""Bytes that tell a damaged token from a whole one."""
_NOT_THE_QUESTION: Final = frozenset({"NextToken", "MaxResults"})

Position = tuple[Any, str]
"""(sort value, name) of a page's last job; the sort value is JSON."""


def next_token(call: Call, position: Position) -> str:
    """Return the token of the page that follows ``position``."""
    return sealed(json.dumps([_question(call), *position]))


def start_of(call: Call) -> Position | None:
    """Return the position the call's token holds; None when it asks for the first page.

    Raises:
        RequestRejected: the token is none of ours, or belongs to another question.
    """
    token = call.params.get("NextToken")
    if not token:
        return None
    text = unsealed(token)
    if text is None:
        raise invalid(
            "Invalid NextToken: it is not one this server gave; "
            "ask again without NextToken for the first page."
        )
    question, key, name = json.loads(text)
    if question != _question(call):
        raise invalid(
            "Invalid NextToken: it belongs to a request with other filters or another order; "
            "repeat that request's parameters, or leave NextToken out."
        )
    return key, name


def sealed(text: str) -> str:
    """Return a token that holds ``text``."""
    held = text.encode()
    return base64.urlsafe_b64encode(_seal(held) + held).decode()


def unsealed(token: str) -> bytes | None:
    """Return the text that a token holds; None for one that is damaged, or none of ours."""
    try:
        whole = base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        return None
    seal, held = whole[:_SEAL], whole[_SEAL:]
    return held if seal == _seal(held) else None


def page_size(params: Mapping[str, Any]) -> int:
    """Return how many results a page holds."""
    return int(params.get("MaxResults") or DEFAULT_PAGE)


def _question(call: Call) -> str:
    asked = {key: value for key, value in call.params.items() if key not in _NOT_THE_QUESTION}
    text = json.dumps([call.operation, call.region, asked], sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _seal(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:_SEAL]


def _plain(value: datetime) -> str:
    return value.isoformat()
