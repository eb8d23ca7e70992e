"""Who may start now, where, and what all others wait for. Pure: no I/O, no clock."""

from trainshed.engine.scheduling.answers import Admission, Answer, Head, Reason
from trainshed.engine.scheduling.board import Board
from trainshed.engine.scheduling.schedule import schedule
from trainshed.engine.scheduling.values import (
    Group,
    Need,
    Place,
    Policy,
    Pool,
    Project,
    Running,
    Waiting,
)
from trainshed.engine.scheduling.view import Lineup, Standing, queue_view

__all__ = [
    "Admission",
    "Answer",
    "Board",
    "Group",
    "Head",
    "Lineup",
    "Need",
    "Place",
    "Policy",
    "Pool",
    "Project",
    "Reason",
    "Running",
    "Standing",
    "Waiting",
    "queue_view",
    "schedule",
]
