"""Which node's program made a job fail, when those of several failed together. Pure.

One fails, and the others miss it: what they say then is true, and no help. They can even be over
sooner, because a program that fails takes its moment to end; and who is over first has its peers
asked to stop. So those that only missed a peer are passed over where another one tells more.
"""

import re
from collections.abc import Mapping
from typing import Final

from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.engine.following import Facts, last_of

REASON_LENGTH: Final = 1024
"""FailureReason's longest text (API model)."""
UNSAID: Final = "InternalServerError: no reason was reported"

_MISSES_A_PEER: Final = re.compile(
    # Sockets, as Python and C libraries word it; Gloo's transport among them.
    r"Connection (closed|reset|refused)|[Bb]roken pipe|Connection(Reset|Refused)Error|Socket closed"
    # NCCL.
    r"|ncclRemoteError|remote process exited|NCCL communicator was aborted"
    # torch.distributed: its key-value store, and torchrun's rendezvous.
    r"|got 0 bytes|DistNetworkError|DistStoreError|Rendezvous(Closed|Connection|Timeout)Error"
    # Horovod.
    r"|Horovod has been shut down"
)
_ANSWERS_A_SIGNAL: Final = re.compile(
    r"SignalException|KeyboardInterrupt|SIGTERM|got signal|exit code: (130|137|143)\b"
)
"""In reasons of programs that were told to stop, and failed of that."""
_NAMES_AN_ERROR: Final = re.compile(
    r"\b(?!AlgorithmError\b|ExecuteUserScriptError\b)\w*(Error|Exception)\b"
)
"""In reasons that tell what went wrong, and not the exit code alone."""


def to_blame(ended: Mapping[str, Fact], facts: Facts) -> list[str]:
    """Return the hosts whose programs failed, without those that only missed a peer.

    Where those are all, a host may stand for them that was asked to stop when its program was
    failing already.

    Args:
        ended: the last fact of each node.
        facts: all that the nodes told, by host.
    """
    failed = [host for host, fact in ended.items() if fact.detail["outcome"] == Outcome.FAILED]
    of_itself = [host for host in failed if not _MISSES_A_PEER.search(_reason(host, ended, facts))]
    if of_itself or not failed:
        return of_itself
    asked = [host for host in ended if host not in failed and _was_failing(facts.get(host, ()))]
    return asked or failed


def failure_reason(hosts: list[str], ended: Mapping[str, Fact], facts: Facts) -> str:
    """Return the reason of the host that failed first; of several nodes, with its name."""
    first = min(hosts, key=lambda host: failed_at(facts.get(host, ()), ended[host]))
    reason = _reason(first, ended, facts)
    if len(ended) == 1:
        return reason[:REASON_LENGTH]
    suffix = f" ({first})"
    return reason[: REASON_LENGTH - len(suffix)] + suffix


def failed_at(facts: tuple[Fact, ...], ended: Fact) -> float:
    """Return when a node failed: when its program was over, not when that was noticed."""
    exited = last_of(facts, Kind.EXITED)
    return float(exited.detail.get("over") or exited.at) if exited else ended.at


def _reason(host: str, ended: Mapping[str, Fact], facts: Facts) -> str:
    exited = last_of(facts.get(host, ()), Kind.EXITED)
    told = ended[host].detail.get("reason") or (exited.detail.get("reason") if exited else "")
    return str(told or UNSAID)


def _was_failing(facts: tuple[Fact, ...]) -> bool:
    """Tell whether a program that was asked to stop failed all the same, and by itself."""
    exited = last_of(facts, Kind.EXITED)
    if exited is None or not exited.detail["exit_code"]:
        return False
    reason = str(exited.detail.get("reason", ""))
    if _MISSES_A_PEER.search(reason) or _ANSWERS_A_SIGNAL.search(reason):
        return False
    return _NAMES_AN_ERROR.search(reason) is not None
