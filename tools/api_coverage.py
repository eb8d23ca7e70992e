"""Writes docs/api-coverage.md from the code: which operations are offered, of which models.

python tools/api_coverage.py
"""

import tempfile
from collections import defaultdict
from pathlib import Path

from trainshed.api.sagemaker.absent import ABSENT
from trainshed.app import clock
from trainshed.app.build import Process, Stores, operations
from trainshed.app.settings import Settings
from trainshed.domain.garbage import Finding
from trainshed.stores.logs.segments import Logs
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.records.changes import InProcessChanges
from trainshed.stores.records.sqlite import SqliteDatabase
from trainshed.stores.records.tags import SqlTags
from trainshed.stores.records.training import SqlTrainingRecords
from trainshed.wire.model import load

PAGE = Path(__file__).parents[1] / "docs" / "api-coverage.md"

HEAD = """# API coverage

Written by `make docs` from the table of operations; a test holds it to the code. An operation
that is not in this list answers with a typed error that names it (`NotImplementedException`, HTTP
501; `NotImplemented` on S3). Some ask after a kind of thing that this server does not make yet:
these are not offered either, but answer as for a name that is not there, because there is none.

"""


def offered() -> dict[str, list[str]]:
    """Return the offered operations by service, as botocore spells both."""
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase(Path(folder) / "trainshed.db")
        objects = EmbeddedObjects(database, Path(folder) / "objects", clock.now)
        changes = InProcessChanges()
        stores = Stores(
            database=database,
            changes=changes,
            hear=None,
            records=SqlTrainingRecords(database, changes),
            tags=SqlTags(database),
            logs=Logs(Path(folder) / "logs"),
            objects=objects,
        )
        found: dict[str, list[str]] = defaultdict(list)
        process = Process(collect=_nothing)
        for service, operation in operations(stores, Settings(), clock.now, process=process):
            if (service, operation) not in absent():
                found[service].append(operation)
        objects.close()
        database.close()
    return {service: sorted(names) for service, names in sorted(found.items())}


def absent() -> set[tuple[str, str]]:
    """Return what is answered though it is not offered: that there is none."""
    return {("sagemaker", operation) for operation in ABSENT}


async def _nothing(_: bool) -> list[Finding]:
    """Find nothing, and remove it."""
    return []


def page() -> str:
    """Return the whole page."""
    table = offered()
    lines = ["| service | offered | of the model's |", "|---|---|---|"]
    lines += [
        f"| {service} | {len(names)} | {len(load(service).operations)} |"
        for service, names in table.items()
    ]
    for service, names in table.items():
        lines += ["", f"## {service}", "", f"Protocol: {load(service).protocol}.", ""]
        lines += [f"- {name}" for name in names]
        if none := sorted(name for of, name in absent() if of == service):
            lines += ["", "Not offered; answers that there is none:", ""]
            lines += [f"- {name}" for name in none]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
