"""Does what it is told: ends at once, after a while, with an error, or when it is asked to."""

import signal
import socket
import sys
import time

what = sys.argv[1]
if what == "sleep":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(60)
if what == "while":
    time.sleep(1.5)
if what == "fail" or (what == "fail-second" and socket.gethostname() == "algo-2"):
    sys.exit(f"{what} as it was told to")
if what == "fail-second":
    time.sleep(60)
