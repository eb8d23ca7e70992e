"""Counts the requests that were answered, and logs each where that is wished."""

import logging
from collections import Counter

from trainshed.stores.figures import QUICK, Histogram
from trainshed.wire.front import Answered

log = logging.getLogger(__name__)


class RequestTally:
    """What was asked since this process began."""

    def __init__(self, *, logged: bool = False) -> None:
        """``logged`` is whether each request goes into the log."""
        self._logged = logged
        if logged:  # whatever less the log leaves out: this was asked for by name
            log.setLevel(logging.INFO)
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By service, operation ("" when it was refused before that was known) and HTTP status."""
        self.seconds: dict[str, Histogram] = {}
        """Until the whole answer was handed over, by service."""

    def note(self, answered: Answered) -> None:
        """Count a request."""
        self.requests[answered.service, answered.operation, answered.status] += 1
        histogram = self.seconds.get(answered.service)
        if histogram is None:
            histogram = self.seconds[answered.service] = Histogram(QUICK)
        histogram.note(answered.seconds)
        if self._logged:
            log.info(
                "%s %s answered %d",
                answered.method,
                answered.operation or answered.path,
                answered.status,
                extra={
                    "service": answered.service,
                    "operation": answered.operation,
                    "method": answered.method,
                    "path": answered.path,
                    "status": answered.status,
                    "ms": round(answered.seconds * 1000, 1),
                    "access_key": answered.access_key,
                    "request_id": answered.request_id,
                },
            )
