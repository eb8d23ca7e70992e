"""Goes on for ever, whatever it is asked; its child too."""

import os
import signal
import time
from pathlib import Path

signal.signal(signal.SIGTERM, lambda *_: print("heard, and goes on", flush=True))
if os.fork():
    Path("/opt/ml/model/half.txt").write_text("half a model")
    print("training", flush=True)
while True:
    time.sleep(0.05)
