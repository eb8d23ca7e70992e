"""What the documentation points to is there."""

import re
from pathlib import Path

from trainshed.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
FILE = re.compile(r"`([a-z0-9_./-]+\.(?:py|md|sql))`")
TARGET = re.compile(r"^make ([a-z0-9-]+)", re.MULTILINE)
COMMAND = re.compile(r"(?:^|`|\$\()trainshed ([a-z][a-z-]*)", re.MULTILINE)


def pages_with(pattern: re.Pattern[str]) -> list[tuple[Path, str]]:
    return [(page, found) for page in PAGES for found in pattern.findall(page.read_text())]


def test_every_link_leads_to_a_file() -> None:
    dead = [(page.name, to) for page, to in pages_with(LINK) if not (page.parent / to).exists()]
    assert dead == []


def test_every_file_that_is_named_is_there() -> None:
    sources = [f"/{path.relative_to(ROOT)}" for path in (ROOT / "src").rglob("*")]
    missing = [
        (page.name, name)
        for page, name in pages_with(FILE)
        if not (ROOT / name).exists() and not any(path.endswith(f"/{name}") for path in sources)
    ]
    assert missing == []


def test_every_target_and_command_that_is_named_is_there() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {name for _, name in pages_with(TARGET)} <= set(targets)
    assert {name for _, name in pages_with(COMMAND)} <= set(COMMANDS)


def test_prose_is_no_wider_than_120_columns() -> None:
    wide = [
        f"{page.name}:{number}"
        for page in PAGES
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if len(line) > 120 and not line.startswith("|")
    ]
    assert wide == []
