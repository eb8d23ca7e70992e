"""Not written yet."""

from typing import Any

from trainshed.domain.errors import RequestRejected
from trainshed.wire.message import Reply
from trainshed.wire.model import ServiceModel
from trainshed.wire.protocols.base import HttpRequest, HttpResponse


def operation_of(model: ServiceModel, request: HttpRequest) -> str | None:
    """Tell which operation is asked for."""
    raise NotImplementedError


def parse(model: ServiceModel, operation: str, request: HttpRequest) -> dict[str, Any]:
    """Return the checked parameters."""
    raise NotImplementedError


def render(model: ServiceModel, operation: str, reply: Reply, request_id: str) -> HttpResponse:
    """Return the answer."""
    raise NotImplementedError


def render_error(
    model: ServiceModel | None, error: RequestRejected, request_id: str, resource: str
) -> HttpResponse:
    """Return the refusal."""
    raise NotImplementedError
