"""Keeps checkpoints while the container runs, and once more after its end; tells how it goes."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.manifest import attempt_of
from trainshed.agent.checkpoints.place import OWN, listed, local_path, place_of
from trainshed.agent.checkpoints.sync import Pass, Sync, Trust, Whose
from trainshed.agent.checkpoints.telling import Telling
from trainshed.agent.node import Node
from trainshed.agent.waiting import Endurance, time_left
from trainshed.agent.watching.ending import Ending
from trainshed.agent.written.folder import Folder
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind
from trainshed.domain.late import INTERVAL_S
from trainshed.stores.objects.remote.store import RemoteObjects

_LOOK_S: Final = 1.0
"""How often to look."""
_SHARE: Final = 30.0
"""Looking may take this part of the time, or less: huge folders are looked at less often."""
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 20.0
"""How long to wait after a pass that failed."""
_PATIENCE_S: Final = 15.0
"""How long one request goes on asking a store that is away; the next pass asks again."""
_REFUSALS: Final = 3
"""How often to try what the store refuses."""
_KILLED: Final = 137
_HEEDED_S: Final = 1.0
"""Who still runs so long after SIGTERM does something about it."""
_SIGNALS: Final = 128
"""Exit codes above it tell of a signal, though perhaps of one that another process died by."""


class Checkpoints:
    """The companion that keeps checkpoints."""

    fd = -1

    def __init__(self, node: Node, ending: Ending) -> None:
        self._node = node
        self._ending = ending
        self._endurance = Endurance(node)
        config = node.plan.request["CheckpointConfig"]
        self._kept = Kept(node.folder / "checkpoints.jsonl")
        plan = node.plan
        objects = RemoteObjects.for_node(
            plan,
            cancelled=lambda: node.stop.forgotten,
            hurried=self._endurance.over,
            patience_s=_PATIENCE_S,
        )
        whose = Whose(
            job=plan.job_name, attempt=attempt_of(plan), host=plan.host, hosts=tuple(plan.hosts)
        )
        self._sync = Sync(
            folder=Folder(
                node.tree.checkpoints, node.tree.base, seen_as=str(local_path(config)), own=OWN
            ),
            place=place_of(config),
            objects=objects,
            kept=self._kept,
            ending=ending,
            whose=whose,
            say=node.log.say,
        )
        if node.journal.last(Kind.TRAINING) is not None:
            self._sync.take_up()
        self._telling = Telling(node.journal, node.log.say, self._kept)
        self._sync.meanwhile = self._telling.meanwhile
        self._unheard: Pass | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def begin(self) -> None:
        """Begin to look."""
        self._carry(self._run)

    def trouble(self) -> str:
        """Return "": a container goes on though its checkpoints are not kept."""
        return ""

    def left_s(self) -> float:
        """Return how long it takes to store what waits, and as much as was saved last."""
        return self._sync.left_s

    def finish(self) -> None:
        """Leave it at that; what is left is kept once the container's end is in the journal.

        Of a container that was cut short that may never be, so what was seen whole is kept now.
        """
        self._ending.note_over()
        self._carry(self._leave)
        self._worker.shutdown()
        self._kept.close()

    def _leave(self) -> None:
        self._telling.leave(self._unheard)
        if self._node.journal.last(Kind.TRAINING) is not None and not self._ending.known:
            self._keep_the_last(Trust.SEEN)

    def conclude(self) -> None:
        """Keep what a container has left whose end is in the journal; repeatable."""
        self._ending.note_over()
        self._keep_the_last(self._trust())
        self._kept.close()

    def _keep_the_last(self, trust: Trust) -> None:
        """Go on until all is kept, the store refuses, or nobody wants to wait for it."""
        stop = self._node.stop
        wait, refused = _FIRST_WAIT_S, 0
        began = time.monotonic()
        done = self._tried(trust)
        while done.trouble and not self._endurance.over_since(began):
            refused += not done.away
            if refused >= _REFUSALS:
                if not self._must_be_kept:
                    break
                if refused == _REFUSALS:
                    self._node.log.say(
                        "checkpoints are NOT kept, and are tried again until the node is taken "
                        f"away: {done.trouble}"
                    )
            self._telling.hear(done)
            stop.pause(min(wait, time_left(self._node)))
            wait = min(2 * wait, _LONGEST_WAIT_S)
            done = self._tried(trust)
        if stop.forgotten:
            return
        self._telling.hear(done, last=True)
        if done.trouble:
            self._node.log.say(
                f"checkpoints are NOT kept in whole: {listed(done.waiting)}: {done.trouble}"
            )
        if done.left_out:
            self._node.log.say(
                f"checkpoints: {listed(done.left_out)} may have been in the middle of being "
                "written when the container ended, and was not kept; the store has what it had"
            )

    @property
    def _must_be_kept(self) -> bool:
        """Whether the node is taken away, so that nothing is left of what is not kept.

        It is taken when the checkpoints are kept, or at its time; a user's wish to stop ends that.
        """
        stop = self._node.stop
        return stop.notice is not None and not stop.asked

    def _run(self) -> None:
        """Make a pass every now and then, until the container is over."""
        wait = _LOOK_S
        failed = _FIRST_WAIT_S
        while not self._ending.wait(wait):
            done = self._tried(Trust.LIVE)
            if self._ending.over:
                self._unheard = done
                return
            wait = max(_LOOK_S, _SHARE * done.look_s)
            self._telling.interval_s = max(INTERVAL_S, wait)
            self._telling.hear(done)
            if done.trouble:
                wait, failed = max(wait, failed), min(2 * failed, _LONGEST_WAIT_S)
            else:
                failed = _FIRST_WAIT_S

    def _tried(self, trust: Trust) -> Pass:
        try:
            return self._sync.run(trust)
        except (StoreError, OSError) as error:
            traceback.print_exc()
            return Pass(trouble=f"{type(error).__name__}: {error}", waiting={"everything new"})

    def _carry(self, what: Callable[[], None]) -> None:
        """Have it done beside the container, which goes on also when a fault of ours ends it.

        What the container leaves is kept once its end is in the journal, or the node then ends by
        the same fault, without losing what the job made.
        """
        self._worker.submit(what).add_done_callback(self._tell_of_fault)

    def _tell_of_fault(self, done: Future[None]) -> None:
        if (fault := done.exception()) is not None:
            traceback.print_exception(fault)
            self._node.log.say(
                "checkpoints are NOT kept while the container runs, by a fault of Trainshed's "
                f"own: {type(fault).__name__}: {fault}"
            )

    def _trust(self) -> Trust:
        """Return how much of what the container left is taken for whole."""
        exited, stopping = (
            self._node.journal.last(Kind.EXITED),
            self._node.journal.last(Kind.STOPPING),
        )
        if exited is None or exited.detail["oom"] or exited.detail.get("no_room"):
            return Trust.SEEN
        code, over_at = exited.detail["exit_code"], exited.detail.get("over", 0.0)
        asked_at = float(stopping.detail.get("began", stopping.at)) if stopping else 0.0
        heeded = stopping is not None and over_at >= asked_at + _HEEDED_S
        if code == _KILLED or (code > _SIGNALS and not heeded):
            return Trust.SEEN
        return Trust.CLOSED if code and stopping is None else Trust.ALL
