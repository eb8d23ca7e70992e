"""How many behaviours of the S3 front are shown, and by whom."""

import ast
from pathlib import Path

from tests.s3 import asked

HERE = Path(__file__)


def behaviours() -> dict[str, tuple[str, ...]]:
    """Return the clients that are asked, by the test's name; boto3 where nobody is named."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(set(HERE.parent.glob("test_*.py")) - {HERE}):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = ("boto3",)
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "asked":
                        found[node.name] = tuple(_named(mark.args))
    return found


def _named(arguments: list[ast.expr]) -> list[str]:
    names: list[str] = []
    for argument in arguments:
        if isinstance(argument, ast.Starred):
            names += getattr(asked, ast.unparse(argument.value))
        else:
            names.append(ast.literal_eval(argument))
    return names


def test_at_least_eighty_behaviours_are_shown_and_many_by_several_clients() -> None:
    found = behaviours()
    assert len(found) >= 80
    assert sum(len(clients) > 1 for clients in found.values()) >= 35
    for client in asked.EVERY:
        assert sum(client in clients for clients in found.values()) >= 20, client
