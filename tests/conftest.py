"""Shows what tests have measured: texts that they note by ``record_property("figure", text)``."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each, behind the results."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "figure":
                terminalreporter.write_line(f"figure: {value}")
