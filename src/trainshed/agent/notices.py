"""Tells at once that the node is to be taken away, whatever the agent is just doing.

The main thread may be in the middle of an upload; whoever plans the next attempt wants to know now.
"""

import os
import sys
import threading
import time
from typing import Final

from trainshed.agent.node import Node
from trainshed.domain.facts import Kind
from trainshed.domain.notice import Notice

_RINGS: Final = 4096


def listen(node: Node) -> None:
    """Have notices told as they come, by a thread of its own."""
    threading.Thread(target=_listen, args=(node,), name="notices", daemon=True).start()


def recall(node: Node) -> None:
    """Go on from a journal in which a notice stands already."""
    told = node.journal.last(Kind.NOTICE)
    if told is not None:
        deadline, reason = float(told.detail["deadline"]), str(told.detail["reason"])
        node.stop.note_notice(Notice(at=told.at, deadline=deadline, reason=reason))


def tell(node: Node) -> None:
    """Journal and report the notice, if there is one that was not told; from any thread."""
    notice = node.stop.notice
    if notice is None:
        return
    if node.journal.tell(Kind.NOTICE, deadline=notice.deadline, reason=notice.reason):
        said = _said(node, notice)
        print(said, file=sys.stderr, flush=True)  # noqa: T201 - the agent's own log
        node.log.say(said)
    node.reporter.start()


def _listen(node: Node) -> None:
    while os.read(node.stop.notice_fd, _RINGS):
        try:
            tell(node)
        except OSError as error:  # a full disk; the main thread tells it as soon as it can
            print(f"cannot tell of the notice: {error}", file=sys.stderr, flush=True)  # noqa: T201


def _said(node: Node, notice: Notice) -> str:
    if notice.deadline:
        when = f"will be taken away in {max(notice.deadline - time.time(), 0.0):.0f} s"
    else:
        when = "is to be given up as soon as its checkpoints are kept"
    if node.stop.asked:
        what = "the job is being stopped already"
    elif node.journal.last(Kind.EXITED) is not None:
        what = "the program has ended, and what it made is being stored"
    elif node.journal.last(Kind.TRAINING) is not None:
        what = "asked the program to stop and save"
    else:
        what = "the program is not started"
    return f"this node {when} ({notice.reason}): {what}"
