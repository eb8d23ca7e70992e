"""What a client can meet, sorted by what its user can do about it.

ClientError           fix the call, the folder or the file; the message says which
  - ApiError          the server refused; ``code`` and ``message`` are its own words
  - ServerUnreachable no server answers; start one
  - JobNotFound       no job, or more than one, goes by that reference
  - NoModel           the job is over and has made none, or none that may be unpacked
"""

from trainshed.domain.errors import TrainshedError


class ClientError(TrainshedError):
    """Something the caller asked for cannot be done.

    Attributes:
        remedy: what to do about it, a sentence or a command; "" when there is nothing to add.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class ApiError(ClientError):
    """The server refused a request.

    Attributes:
        code: the error's name on the wire, such as ``ValidationException``.
        message: the server's words.
        status: the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int, remedy: str = "") -> None:
        super().__init__(f"{code}: {message}", remedy)
        self.code = code
        self.message = message
        self.status = status


class ServerUnreachable(ClientError):
    """Nobody answers at the server's address, or the connection broke."""


class JobNotFound(ClientError):
    """A reference names no job, or more than one."""


class NoModel(ClientError):
    """A job that is over has made no model, or none that may be unpacked; that will stay so."""
