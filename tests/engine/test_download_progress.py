"""How far input data has come, as the status tells it."""

from tests.engine.test_decide import running, seen

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import SecondaryStatus
from trainshed.engine.training import decide
from trainshed.testing.jobs import facts


def told(*journals: tuple[Fact, ...]) -> str:
    last = decide(running(nodes=len(journals)), seen(*journals)).job.transitions[-1]
    assert last.status is SecondaryStatus.DOWNLOADING
    return last.message


def test_the_files_of_all_nodes_are_counted() -> None:
    begun = (Kind.STARTED, {}), (Kind.DOWNLOADING, {})
    one = facts(*begun, (Kind.PROGRESS, {"files": 11_000, "bytes": 10**9}))
    two = facts(*begun, (Kind.PROGRESS, {"files": 1_000, "bytes": 2 * 10**8}))
    assert told(facts(*begun)) == "Downloading input data"
    assert told(one, facts(*begun)) == "Downloading input data: 11000 files (1.0 GB)"
    assert told(one, two) == "Downloading input data: 12000 files (1.2 GB)"
