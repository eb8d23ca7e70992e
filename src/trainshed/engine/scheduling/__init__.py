"""Who may start now, where, and what all others wait for. Pure: no I/O, no clock."""

from trainshed.engine.scheduling.answers import Admission
from trainshed.engine.scheduling.line import Request, Turn, admit

__all__ = ["Admission", "Request", "Turn", "admit"]
