"""A server as small as can be found, started and stopped: ``little_server.py DATA_DIR [how]``."""

import os
import signal
import sys
from pathlib import Path

from tests.client.fake_server import FakeServer, announce, serving


def main(data_dir: Path, how: str) -> None:
    if how == "fails":
        sys.exit("port 7070 is in the hands of somebody else")
    with serving(FakeServer()) as fake:
        stops = signal.SIGTERM, signal.SIGINT
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        if how != "silent":
            announce(fake, data_dir, os.getpid())
        with (data_dir / "starts").open("a") as starts:
            starts.write("x")
        signal.sigwait(stops)
        (data_dir / "server.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "works")
