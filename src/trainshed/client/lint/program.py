"""Rules about the Python script of script mode: what its argparse takes, and which paths it names.

Read from the syntax tree, never run. Where a parser is built in a way that cannot be followed (by
another module, in a loop, with parents or subcommands) nothing is said about it.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainshed.client.lint import scripts
from trainshed.client.lint.command import take_apart
from trainshed.client.lint.facts import Asked, Config, File
from trainshed.client.lint.findings import Finding, Rule, Severity
from trainshed.client.lint.image import ARGUMENT
from trainshed.contract import script_mode

UNREADABLE: Final = Rule(
    code="TS301",
    severity=Severity.WARNING,
    title="the script cannot be parsed",
    sagemaker="SyntaxError, unless the image's Python is newer than the one that looked",
    here="",
    mend="correct the line",
)
REQUIRED: Final = Rule(
    code="TS302",
    severity=Severity.ERROR,
    title="a required argument is no hyperparameter of the request",
    sagemaker="argparse ends the script with exit code 2",
    here="",
    mend="give the hyperparameter, or a default to the argument",
)
UNKNOWN: Final = Rule(
    code="TS303",
    severity=Severity.ERROR,
    title="a hyperparameter that the script's argparse does not know",
    sagemaker="every hyperparameter becomes --NAME VALUE: unrecognized arguments, exit code 2",
    here="",
    mend="add the argument, or use parse_known_args()",
)
FLAG: Final = Rule(
    code="TS304",
    severity=Severity.ERROR,
    title="a flag is given a value",
    sagemaker="--NAME comes with a value, which store_true does not take: exit code 2",
    here="",
    mend='take a value: type=lambda text: text.lower() == "true"',
)
BOOL: Final = Rule(
    code="TS305",
    severity=Severity.WARNING,
    title="type=bool is true for every text but the empty one",
    sagemaker="--NAME False reads as True",
    here="",
    mend='type=lambda text: text.lower() == "true"',
)
POSITIONAL: Final = Rule(
    code="TS306",
    severity=Severity.ERROR,
    title="a positional argument in script mode",
    sagemaker="a script gets --NAME VALUE pairs only: the argument is missing, exit code 2",
    here="",
    mend='make it an option, or give it nargs="?" and a default',
)
FOREIGN_PATH: Final = Rule(
    code="TS307",
    severity=Severity.NOTE,
    title="a path of one machine",
    sagemaker="the folder is not there: data lies in /opt/ml/input/data/CHANNEL",
    here="on the local backend it may be there, and the job then runs nowhere else",
    mend="read SM_CHANNEL_<NAME> and SM_MODEL_DIR, or take the path as an argument",
)

RULES: Final = (UNREADABLE, REQUIRED, UNKNOWN, FLAG, BOOL, POSITIONAL, FOREIGN_PATH)
_MACHINES: Final = ("/home/", "/Users/", "/mnt/", "/media/", "/content/", "/kaggle/", "/Volumes/")
"""Where people and notebooks keep things; nothing of the kind is in a container."""
_CONSTRUCTORS: Final = frozenset({"ArgumentParser", "argparse.ArgumentParser"})
_FLAGS: Final = frozenset({"store_true", "store_false", "store_const", "append_const", "count"})
_METHODS: Final = frozenset(
    {
        "add_argument",
        "add_argument_group",
        "add_mutually_exclusive_group",
        "error",
        "exit",
        "format_help",
        "parse_args",
        "parse_known_args",
        "print_help",
        "print_usage",
        "set_defaults",
    }
)
"""Calls that add no argument behind our back."""
_FREE: Final = frozenset({"?", "*", "..."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One ``add_argument``."""

    line: int
    names: tuple[str, ...]
    required: bool
    flag: bool
    boolean: bool

    @property
    def positional(self) -> bool:
        """Whether it has no dashes."""
        return not self.names[0].startswith("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """A script's argparse, followed to its end."""

    arguments: tuple[Argument, ...]
    strict: bool
    """Whether a word it does not know ends the script."""


def of_script(file: File, hyperparameters: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Return what a Python script of script mode will trip over.

    Args:
        file: the script.
        hyperparameters: read, of the request; None when they are not known.
    """
    try:
        tree = ast.parse(file.text or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        yield UNREADABLE.at(f"{file.path}:{line}", str(error))
        return
    parser = parser_of(tree)
    if parser is not None:
        yield from _arguments(file.path, parser, hyperparameters)
    yield from scripts.of_python_signals(file)


def of_word(file: File, config: Config, asked: Asked) -> Iterator[Finding]:
    """Return whether the program that ENTRYPOINT starts refuses ``train`` as its argument."""
    line = take_apart(config.entrypoint)
    language = line if line.is_python else scripts.interpreter_of(file.text or "")
    if not config.entrypoint or line.is_shell or not language.is_python:
        return  # without ENTRYPOINT it is the program's own name; a shell's text never gets it
    if asked.arguments is not None or asked.entrypoint is not None:
        return
    tree = scripts.parsed(file.text or "")
    parser = None if tree is None else parser_of(tree)
    if parser is None or not parser.strict:
        return
    if not any(argument.positional for argument in parser.arguments):
        yield scripts.WORD_REFUSED.at(file.path, "parse_args() without a positional argument")


def without_doubt(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without the note that ``train`` might be minded, where it is known to be."""
    found = list(findings)
    refused = any(finding.rule is scripts.WORD_REFUSED for finding in found)
    return [f for f in found if not (refused and f.rule is ARGUMENT)]


def of_paths(file: File) -> Iterator[Finding]:
    """Return the paths that only one machine has; texts that stand alone are comments."""
    tree = scripts.parsed(file.text or "")
    if tree is None:
        return
    comments = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in comments and node.value.startswith(_MACHINES):
            yield FOREIGN_PATH.at(f"{file.path}:{node.lineno}", node.value[:80])


def parser_of(tree: ast.Module) -> Parser | None:
    """Return a script's one argparse parser; None when there is none that can be followed."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call for call in calls if ast.unparse(call.func) in _CONSTRUCTORS]
    name = _name_of_parser(tree, made)
    if not name or _has(made[0], "parents", "prefix_chars", "fromfile_prefix_chars"):
        return None
    holders = {name, *_groups(tree, name)}
    if _repeats(tree, holders) or any(_hands_over(call, holders) for call in calls):
        return None
    own = [
        (call.func.attr, call)
        for call in calls
        if isinstance(call.func, ast.Attribute) and _mentions(call.func.value, holders)
    ]
    ends = [call for method, call in own if method in {"parse_args", "parse_known_args"}]
    arguments = [_argument(call) for method, call in own if method == "add_argument"]
    followed = [argument for argument in arguments if argument is not None]
    if len(followed) < len(arguments) or not {method for method, _ in own} <= _METHODS:
        return None
    if len(ends) != 1 or ends[0].args or ends[0].keywords:
        return None
    strict = ast.unparse(ends[0].func).endswith("parse_args")
    return Parser(arguments=tuple(followed), strict=strict)


def _arguments(
    where: str, parser: Parser, hyperparameters: Mapping[str, Any] | None
) -> Iterator[Finding]:
    for argument in parser.arguments:
        place, shown = f"{where}:{argument.line}", argument.names[-1]
        if argument.positional and argument.required:
            yield POSITIONAL.at(place, shown)
        elif argument.boolean and not argument.positional:
            yield BOOL.at(place, shown)
    if hyperparameters is not None:
        names = sorted(script_mode.for_script(hyperparameters))
        words = [f"-{name}" if len(name) == 1 else f"--{name}" for name in names]
        yield from _given(where, parser, words)


def _given(where: str, parser: Parser, words: Sequence[str]) -> Iterator[Finding]:
    options = [argument for argument in parser.arguments if not argument.positional]
    for argument in options:
        place, shown = f"{where}:{argument.line}", argument.names[-1]
        if argument.required and not any(_means(word, argument) for word in words):
            yield REQUIRED.at(place, shown)
        if argument.flag and any(word in argument.names for word in words):
            yield FLAG.at(place, shown)
    if parser.strict and len(options) == len(parser.arguments):
        for word in words:
            if not any(_means(word, argument) for argument in options):
                yield UNKNOWN.at(where, word)


def _means(word: str, argument: Argument) -> bool:
    """Tell whether argparse may take a word for an argument; it completes long names."""
    return any(
        name == word or (word.startswith("--") and name.startswith(word)) for name in argument.names
    )


def _argument(call: ast.Call) -> Argument | None:
    names = [word.value for word in call.args if isinstance(word, ast.Constant)]
    told = {keyword.arg: keyword.value for keyword in call.keywords}
    if len(names) != len(call.args) or not names or None in told:
        return None
    if not all(isinstance(name, str) and name for name in names):
        return None
    texts = tuple(str(name) for name in names)
    action, nargs = _constant(told.get("action")), _constant(told.get("nargs"))
    if texts[0].startswith("-"):
        required = _constant(told.get("required")) is True
    else:
        required = nargs not in _FREE and nargs != 0
    return Argument(
        line=call.lineno,
        names=texts,
        required=required,
        flag=action in _FLAGS or "BooleanOptionalAction" in ast.unparse(call),
        boolean="type" in told and ast.unparse(told["type"]) == "bool",
    )


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _name_of_parser(tree: ast.Module, made: Sequence[ast.Call]) -> str:
    """Return the one name that the one parser is assigned to, and nothing else is."""
    if len(made) != 1:
        return ""
    name = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and node.value is made[0] and len(node.targets) == 1:
            name = ast.unparse(node.targets[0])
    stored = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    returned = any(
        isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) == name
        for node in ast.walk(tree)
    )
    return name if len(stored) == 1 and not returned else ""


def _groups(tree: ast.Module, name: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
            and node.value.func.attr in {"add_argument_group", "add_mutually_exclusive_group"}
            and _mentions(node.value.func.value, {name})
        ):
            yield ast.unparse(node.targets[0])


def _hands_over(call: ast.Call, holders: set[str]) -> bool:
    """Tell whether a parser is handed to a function, which may add to it."""
    words = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(_mentions(word, holders) for word in words)


def _has(call: ast.Call, *names: str) -> bool:
    return any(keyword.arg is None or keyword.arg in names for keyword in call.keywords)


def _mentions(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _repeats(tree: ast.Module, names: set[str]) -> bool:
    """Tell whether an argument is added only sometimes, or more than once."""
    return any(
        isinstance(inner, ast.Attribute)
        and inner.attr == "add_argument"
        and _mentions(inner.value, names)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.For, ast.While, ast.If, ast.Try)) and not _is_main(outer)
        for inner in ast.walk(outer)
    )


def _is_main(node: ast.AST) -> bool:
    """Tell whether a block is ``if __name__ == "__main__"``."""
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
