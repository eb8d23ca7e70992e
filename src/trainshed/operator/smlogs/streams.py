"""Names of log streams: which node of which attempt wrote there."""

from collections.abc import Iterable


def parts(stream: str) -> tuple[str, int]:
    """Return host and number of ``<job>/algo-1-1574553166``; of a name without, itself and 0.

    The number tells when the attempt began (or the node, at the service): later ones are greater.
    """
    host, sign, number = stream.rpartition("/")[2].rpartition("-")
    if not sign or not (number.isascii() and number.isdigit()):
        return stream.rpartition("/")[2], 0
    return host, int(number)


def of_last_attempt(names: Iterable[str]) -> list[str]:
    """Return the newest stream of each host, in the order given."""
    kept = list(names)
    newest: dict[str, int] = {}
    for name in kept:
        host, number = parts(name)
        newest[host] = max(number, newest.get(host, number))
    return [name for name in kept if newest[parts(name)[0]] == parts(name)[1]]
