"""``python -m bench [api] [start] [footprint]``: print the figures of docs/benchmarks.md."""

import sys

from bench import api, footprint, start

SUITES = {
    "start": [start.measure, start.first_answer],
    "api": [api.measure],
    "footprint": [footprint.server, footprint.command_line],
}


def main() -> None:
    """Run the suites named, or all."""
    for name in sys.argv[1:] or SUITES:
        for measure in SUITES[name]:
            for label, value in measure().items():
                print(f"{value:12.2f}  {label}", flush=True)


if __name__ == "__main__":
    main()
