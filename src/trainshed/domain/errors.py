"""Every error we raise, sorted by who must act.

TrainshedError
  x RequestRejected   the caller: fix the request; ``code`` goes on the wire
    - NotFound        the thing asked for is not there
  x DriverError       the engine: wait, move elsewhere, or give up
    - NoCapacity      nothing was started; try later or elsewhere
    - NodeTaken       the place took the node away, or it was removed: start another one
  x StoreError        whoever asked a store: the message says what and why
    - ObjectMissing   no object (or bucket) under that address
  x IllegalMove       us: a bug, caught nowhere below a process's outer loop

A user's script that exits non-zero raises nothing: that is data (``facts.Exited``).
"""


class TrainshedError(Exception):
    """The root of all errors raised on purpose."""


class RequestRejected(TrainshedError):
    """A request that will not be carried out.

    Attributes:
        code: the error's name on the wire, such as ``ValidationException``.
        message: what was asked, what was found, what to do.
        status: the HTTP status, 4xx or 5xx.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class NotFound(RequestRejected):
    """SageMaker answers for most missing things with a ``ValidationException``."""

    def __init__(self, message: str = "Requested resource not found.") -> None:
        super().__init__("ValidationException", message)


class DriverError(TrainshedError):
    """A place could not do what was asked; the message says what and why."""


class NoCapacity(DriverError):
    """Nothing was started; the same launch may work later."""


class NodeTaken(DriverError):
    """The node was taken away or removed, and no launch brings it back."""


class StoreError(TrainshedError):
    """A store could not keep or find what was asked; the message says what and why."""


class ObjectMissing(StoreError):
    """No object, or no bucket, under that address."""


class IllegalMove(TrainshedError):
    """Code asked for a change of state that the lifecycle does not have."""
