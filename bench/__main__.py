"""``python -m bench [SUITE…]``: print the figures of docs/benchmarks.md, all or some."""

import sys
from functools import partial

from bench import (
    api,
    archives,
    containers,
    footprint,
    interruptions,
    logs,
    many_jobs,
    object_server,
    pipes,
    staging,
    start,
)

SUITES = {
    "start": [start.measure, start.first_answer],
    "api": [api.measure],
    "docker": [containers.measure, containers.local_mode],
    "staging": [staging.measure],
    "objects": [object_server.measure],
    "archives": [archives.measure],
    "pipes": [pipes.measure],
    "logs": [logs.measure],
    "interruptions": [interruptions.measure],
    "footprint": [footprint.server, footprint.command_line],
    "many": [
        *(partial(many_jobs.measure, size) for size in many_jobs.SIZES),
        many_jobs.sustained,
    ],
}


def main() -> None:
    """Run the suites named, or all."""
    for name in sys.argv[1:] or SUITES:
        for measure in SUITES[name]:
            for label, value in measure().items():
                print(f"{value:12.2f}  {label}", flush=True)


if __name__ == "__main__":
    main()
