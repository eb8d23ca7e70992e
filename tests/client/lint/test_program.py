"""A script's argparse is followed to its end, or not judged at all."""

from typing import Any

import pytest

from trainshed.client.lint import program
from trainshed.client.lint.facts import Asked, Config, File

HEAD = "import argparse\n# SIGTERM\np = argparse.ArgumentParser()\n"
LR = 'p.add_argument("--lr", "--learning-rate", type=float)\n'
END = "a = p.parse_args()\n"


def codes(body: str, given: dict[str, Any] | None = None) -> list[str]:
    file = File(path="t.py", executable=False, text=HEAD + body)
    return [finding.rule.code for finding in program.of_script(file, given)]


def test_arguments_that_are_given_as_they_are_taken() -> None:
    assert codes(LR + END, {"lr": 0.1, "sagemaker_program": "t.py"}) == []
    assert codes(LR + END, {"learning-rate": 0.1}) == []
    assert codes(LR + END, {"learning": 0.1}) == [], "argparse completes names"


@pytest.mark.parametrize(
    ("body", "given", "expected"),
    [
        ('p.add_argument("--x", required=True)\n', {}, ["TS302"]),
        ('p.add_argument("--xy", required=True)\n', {"xy": 1}, []),
        ('p.add_argument("--x", required=True)\n', None, []),
        ('p.add_argument("-x")\n', {"x": 1}, []),
        ('p.add_argument("--x")\n', {"x": 1}, ["TS303"]),  # script mode says -x
        ('p.add_argument("--xx")\n', {"xx": 1, "y": 2}, ["TS303"]),
        ('p.add_argument("--xx", action="store_true")\n', {"xx": True}, ["TS304"]),
        ('p.add_argument("--x", action="store_true")\n', {}, []),
        ('p.add_argument("--x", type=bool)\n', None, ["TS305"]),
        ('p.add_argument("config")\n', None, ["TS306"]),
        ('p.add_argument("config", nargs="?")\n', None, []),
        ('g = p.add_argument_group("g")\ng.add_argument("--x", type=bool)\n', None, ["TS305"]),
    ],
)
def test_each_kind_of_argument(
    body: str, given: dict[str, Any] | None, expected: list[str]
) -> None:
    assert codes(body + END, given) == expected


def test_a_lenient_parser_takes_unknown_hyperparameters() -> None:
    assert codes(LR + "a, _ = p.parse_known_args()\n", {"epochs": 3}) == []


@pytest.mark.parametrize(
    "body",
    [
        LR + "add_more(p)\n" + END,
        LR + "for x in y:\n    p.add_argument(x)\n" + END,
        LR + "if z:\n    p.add_argument('--y')\n" + END,
        LR + "q = p.add_subparsers()\n" + END,
        LR + "a = p.parse_args(['--lr', '1'])\n",
        LR + "p.add_argument(*words)\n" + END,
        LR + "p.add_argument('--y', **more)\n" + END,
        LR + "q = argparse.ArgumentParser()\n" + END,
        LR + "p = other()\n" + END,
        LR + "def f():\n    return p\n",
        "p = argparse.ArgumentParser(parents=[x])\n" + LR + END,
    ],
)
def test_a_parser_that_cannot_be_followed_is_not_judged(body: str) -> None:
    assert codes(body, {"nobody-knows": 1}) == []


def test_a_parser_within_a_function_or_under_main_is_followed() -> None:
    inside = "".join(f"    {line}\n" for line in (HEAD + LR + END).splitlines())
    for head in ("def main():\n", 'if __name__ == "__main__":\n'):
        file = File(path="t.py", executable=False, text=head + inside)
        assert [f.rule.code for f in program.of_script(file, {"z": 1})] == ["TS303"]


def test_a_script_that_cannot_be_parsed_is_told_with_its_line() -> None:
    (finding,) = program.of_script(File(path="t.py", executable=False, text="\nx = (\n"), None)
    assert (finding.rule.code, finding.where) == ("TS301", "t.py:2")


def test_the_word_train_is_refused_by_a_strict_parser_without_a_place_for_it() -> None:
    def word(body: str, *entrypoint: str, asked: Asked | None = None) -> list[str]:
        file = File(path="t.py", executable=False, text=HEAD + body)
        config = Config(entrypoint=entrypoint or ("python", "t.py"))
        found = program.of_word(file, config, asked or Asked())
        return [finding.rule.code for finding in found]

    assert word(LR + END) == ["TS207"]
    assert word(LR + 'p.add_argument("mode")\n' + END) == []
    assert word(LR + "p.parse_known_args()\n") == []
    assert word("print()\n") == []
    assert word(LR + END, "/bin/sh", "-c", "python t.py") == [], "a shell keeps the word"
    assert word(LR + END, asked=Asked(arguments=("--lr", "1"))) == []
    assert not list(program.of_word(File(path="t", executable=True, text=END), Config(), Asked()))


def test_paths_of_one_machine_are_told_and_comments_are_not() -> None:
    text = '"""Reads /home/me."""\n"/home/x"\na = "/home/me/d"\nb = "/opt/ml/model"\nc = "/tmp"\n'
    found = list(program.of_paths(File(path="t.py", executable=False, text=text)))
    assert [(f.rule.code, f.where, f.found) for f in found] == [("TS307", "t.py:3", "/home/me/d")]
