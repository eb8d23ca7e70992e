"""Shows what tests have measured: texts that they note by ``record_property("figure", text)``."""

import ctypes
import os
import signal
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from tests.share import EXAMPLES

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile(
    "share",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("share")

# Whoever starts the tests behind nohup or "&" ignores Ctrl-C, and all that they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same programs are started hundreds of times: what they import is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Stores of other makes live in this process: what passes through their threads is given back to the
# system (M_MMAP_THRESHOLD and M_ARENA_MAX of malloc.h), or each worker grows by hundreds of MB.
with suppress(AttributeError):  # another C library
    for parameter, value in ((-3, 1 << 20), (-8, 2)):
        ctypes.CDLL(None).mallopt(parameter, value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each, behind the results."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "figure":
                terminalreporter.write_line(f"figure: {value}")
