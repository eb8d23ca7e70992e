"""Interrupts a job on purpose, and finds out what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainshed.client.api import Api
from trainshed.client.errors import ServerUnreachable

POLL_SECONDS: Final = 0.5
_DONE: Final = frozenset({"Resumed", "StartedOver", "Missed"})
_OVER: Final = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to happen to a node."""

    notice: int | None
    """Seconds between the notice and the loss; None for a loss without any."""
    host: str = ""
    """"" for the server's choice."""

    def request(self, name: str) -> dict[str, Any]:
        """Return the DrillTrainingJob request."""
        asked: dict[str, Any] = {"TrainingJobName": name, "Kind": "SuddenLoss"}
        if self.notice is not None:
            asked |= {"Kind": "Notice", "NoticeInSeconds": self.notice}
        return asked | ({"Host": self.host} if self.host else {})


class Drills:
    """The drills of one job. A server that is away for a while is waited for."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Api],
        *,
        sleep: Callable[[float], None],
        away: Callable[[], None],
    ) -> None:
        """Take the job.

        Args:
            name: the job's.
            connect: finds the server, wherever it answers now; or raises ``ServerUnreachable``.
            sleep: waits for so many seconds.
            away: told each time the server begins to be away.
        """
        self._name = name
        self._connect = connect
        self._sleep = sleep
        self._away = away
        self._api: Api | None = None

    def ask(self, asked: Asked) -> dict[str, Any]:
        """Have a node taken away; return DrillTrainingJob's answer.

        Raises:
            ApiError: the job is not there, or its program does not run.
            ServerUnreachable: no server answers.
        """
        return self._connect().call("trainshed", "DrillTrainingJob", asked.request(self._name))

    def outcome(self, attempt: int, told: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """Return what became of the drill of an attempt, once that is settled.

        Args:
            attempt: its number.
            told: gets the drill each time its ``Status`` changed.
        """
        last = ""
        while True:
            drill: dict[str, Any] = self.explained().get("Drill") or {}
            if drill.get("AttemptNumber") == attempt:
                if drill["Status"] != last:
                    last = drill["Status"]
                    told(drill)
                if last in _DONE:
                    return drill
            self._sleep(POLL_SECONDS)

    def ready(self, seconds: float) -> bool:
        """Return once the job has trained for so long again; False when it is over before that."""
        while True:
            job = self.explained()
            if job["TrainingJobStatus"] in _OVER:
                return False
            trained = [
                phase["Seconds"]
                for phase in job["Phases"]
                if phase["Phase"] == "Training" and "EndTime" not in phase
            ]
            if trained and min(trained) >= seconds and job["SecondaryStatus"] == "Training":
                return True
            self._sleep(POLL_SECONDS)

    def explained(self) -> dict[str, Any]:
        """Return ExplainTrainingJob's answer; waits for a server that is away.

        Raises:
            ApiError: the job is not there any more.
        """
        noted = False
        while True:
            try:
                if self._api is None:
                    self._api = self._connect()
                return self._api.call(
                    "trainshed", "ExplainTrainingJob", {"TrainingJobName": self._name}
                )
            except ServerUnreachable:
                self._api = None
                if not noted:
                    self._away()
                noted = True
                self._sleep(POLL_SECONDS)
