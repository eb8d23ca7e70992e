"""What the house asks of every file, as far as a program can see it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
USERS_PROGRAMS = "programs"
"""Folders of what jobs run in tests: those wait as users' programs do."""

NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handlers"}
WORDS_OF_NOTHING = ("Manager", "Handler", "Helper", "Util", "Service", "Processor")

MAY_ASK_THE_TIME = ("app/clock.py", "operator/clock.py", "agent/", "toolkit/")
MAY_READ_THE_ENVIRONMENT = ("app/settings.py", "operator/settings.py", "agent/", "toolkit/", "cli/")


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def in_room(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "trainshed").as_posix()


def trees(paths: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    for path in paths:
        yield path, ast.parse(path.read_text(), str(path))


def dotted(node: ast.AST) -> str:
    """Return a name like ``a.b.c`` as it is written; what is no such name is "…" there."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "…"


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func)


def test_no_source_file_is_longer_than_500_lines_and_no_test_longer_than_400() -> None:
    limits = [(path, 500) for path in SOURCES] + [(path, 400) for path in TESTS]
    long = {
        where(path): lines
        for path, limit in limits
        if (lines := len(path.read_text().splitlines())) > limit
    }
    assert long == {}


def test_no_function_is_longer_than_60_lines_or_takes_more_than_6_parameters() -> None:
    found = []
    for path, tree in trees(SOURCES):
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            parameters = node.args.posonlyargs + node.args.args
            positional = [p for p in parameters if p.arg not in {"self", "cls"}]
            # Keyword-only parameters read like a dataclass at the call; a few more are allowed.
            if lines > 60 or len(positional) > 6 or len(positional + node.args.kwonlyargs) > 8:
                found.append(f"{where(path)}:{node.lineno} {node.name}")
    assert found == []


def test_every_room_has_a_sign_and_beside_it_only_what_neighbours_may_use() -> None:
    for path in SOURCES:
        if path.name != "__init__.py" or path.parent.name == "trainshed":
            continue
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{where(path)} says not what its room is for"
        assert all(
            isinstance(node, ast.ImportFrom) or ast.unparse(node).startswith("__all__ =")
            for node in tree.body[1:]
        ), f"{where(path)} holds more than its sign and exports"
    folders = {path.parent for path in SOURCES}
    assert [where(f) for f in folders if not (f / "__init__.py").exists()] == []


def test_no_file_or_class_is_named_after_nothing() -> None:
    assert [where(path) for path in SOURCES if path.stem in NAMELESS] == []
    classes = [
        f"{where(path)} {node.name}"
        for path, tree in trees(SOURCES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(WORDS_OF_NOTHING)
    ]
    assert classes == []


def test_only_the_clock_asks_the_time() -> None:
    found = [
        f"{where(path)}:{line} {name}"
        for path, tree in trees(SOURCES)
        if not in_room(path).startswith(MAY_ASK_THE_TIME)
        for line, name in calls(tree)
        if name in {"datetime.now", "datetime.utcnow", "datetime.today", "time.time", "time"}
    ]
    assert found == []


def test_only_a_few_rooms_read_the_environment() -> None:
    found = [
        f"{where(path)}:{node.lineno}"
        for path, tree in trees(SOURCES)
        if not in_room(path).startswith(MAY_READ_THE_ENVIRONMENT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}
    ]
    assert found == []


def test_tasks_are_started_in_task_groups_only() -> None:
    found = [
        f"{where(path)}:{line}"
        for path, tree in trees(SOURCES)
        for line, name in calls(tree)
        if name in {"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"}
    ]
    assert found == []


def test_imports_have_no_type_checking_side_door() -> None:
    found = [
        where(path)
        for path, tree in trees(SOURCES)
        if any(isinstance(n, ast.Name) and n.id == "TYPE_CHECKING" for n in ast.walk(tree))
    ]
    assert found == []


def test_no_test_patches_ours_or_waits_on_the_clock_to_pass() -> None:
    forbidden = {"time.sleep", "mock.patch", "patch", "monkeypatch.setattr", "mocker.patch"}
    # The operating system's calls may be watched: what reaches the disk has no other witness.
    watched = {"os"}
    found = [
        f"{where(path)}:{node.lineno} {dotted(node.func)}"
        for path, tree in trees([each for each in TESTS if USERS_PROGRAMS not in each.parts])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and dotted(node.func) in forbidden
        and not (node.args and dotted(node.args[0]) in watched)
    ]
    assert found == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    found = [
        f"{where(path)}:{node.lineno}"
        for path, tree in trees(TESTS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and dotted(node).removeprefix("pytest.")
        in {"skip", "mark.skip", "mark.skipif", "mark.xfail"}
    ]
    assert found == []
