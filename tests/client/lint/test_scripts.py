"""The program that is process 1: whether it starts, and how it takes SIGTERM."""

import pytest

from trainshed.client.lint import scripts
from trainshed.client.lint.command import take_apart
from trainshed.client.lint.facts import Config, File


def codes(
    text: str | None,
    *,
    words: tuple[str, ...] = ("train",),
    executable: bool = True,
    config: Config | None = None,
    interpreters: dict[str, bool] | None = None,
) -> list[str]:
    file = File(path="train", executable=executable, text=text)
    found = scripts.of_start(
        file, take_apart(words), config or Config(), interpreters=interpreters or {}
    )
    return [finding.rule.code for finding in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('#!/bin/sh\nset -e\nexec python -u train.py "$@"\n', []),
        ("#!/bin/sh\r\nexec python -u train.py\r\n", ["TS202"]),
        ("#!/bin/sh\nexec /go\r\n", ["TS202"]),
        ("exec /go\n", ["TS203"]),
        ("", ["TS203"]),
        (" #!/bin/sh\nexec /go\n", ["TS203"]),
        ("#!/bin/bash\npython -u train.py\n", ["TS205"]),
        ("#!/bin/bash\n/usr/bin/python3 -u train.py\necho done\n", ["TS205"]),
        ("#!/bin/bash\ntrap 'kill $!' TERM\npython -u train.py &\nwait\n", []),
        ("#!/bin/bash\nexec python train.py\n", ["TS117"]),
        ("#!/bin/bash\nexport PYTHONUNBUFFERED=1\nexec python train.py\n", []),
        ("#!/bin/bash\n[ -f x ] && exec python -u a.py\nexec python -u b.py\n", []),
        ("#!/bin/sh\ncp -r /a /b\n", []),
        ("#!/bin/sh\npython -m pip install x\nexec /go\n", []),
        ("#!/bin/sh\npython -m pip install x\n", []),
        ("#!/bin/sh\nA=1 python3 -u -m pkg\n", ["TS205"]),
        ("#!/bin/sh\nfind . -exec rm {} +\ntorchrun t.py\n", ["TS205"]),
        ("#!/usr/bin/python3 -u\nimport sys\nfrom a import main\nsys.exit(main())\n", []),
        ("#!/usr/bin/env python3\nprint()\n", ["TS117", "TS206"]),
        ("#!/usr/bin/python3 -u\nprint()\n", ["TS206"]),
        ("#!/usr/bin/python3 -u\nimport signal\nsignal.SIGTERM\n", []),
        ("#!/usr/bin/perl\nprint 1;\n", []),
        ("#!/usr/bin/perl\r\nprint 1;\r\n", ["TS202"]),
        (None, []),
    ],
)
def test_a_script_that_is_started_by_its_name(text: str | None, expected: list[str]) -> None:
    assert codes(text) == expected


def test_a_script_behind_its_interpreter_needs_neither_mode_nor_first_line() -> None:
    assert codes("exec /go\n", words=("bash", "x.sh"), executable=False) == []
    assert codes("set -e\r\nexec /go\r\n", words=("bash", "x.sh")) == ["TS202"]
    assert codes("print()\n", words=("python", "x.py"), executable=False) == ["TS206"]


def test_a_script_that_is_not_executable() -> None:
    assert codes("#!/bin/sh\nexec /go\n", executable=False) == ["TS201"]


def test_an_interpreter_must_be_in_the_image() -> None:
    bash, env = "#!/bin/bash\nexec /go\n", "#!/usr/bin/env python3\nSIGTERM\n"
    quiet = Config(environment={"PYTHONUNBUFFERED": "1"})
    assert codes(bash, interpreters={"/bin/bash": False}) == ["TS204"]
    assert codes(bash, interpreters={"/bin/bash": True}) == []
    there = {"/usr/bin/env": True}
    assert codes(env, config=quiet, interpreters={**there, "python3": False}) == ["TS204"]
    assert codes(env, config=quiet, interpreters={**there, "python3": True}) == []


@pytest.mark.parametrize(
    ("words", "program", "script", "unbuffered"),
    [
        (["python", "-u", "a.py", "-x"], "python", "a.py", True),
        (["/opt/bin/python3.11", "-X", "dev", "a.py"], "python3.11", "a.py", False),
        (["python", "-m", "pkg"], "python", "", False),
        (["/tini", "-g", "--", "python", "a.py"], "python", "a.py", False),
        (["env", "A=1", "python", "-uB", "a.py"], "python", "a.py", True),
        (["/run.sh", "-u"], "run.sh", "/run.sh", False),
        (["bash", "-e", "run.sh"], "bash", "run.sh", False),
        ([], "", "", False),
    ],
)
def test_command_lines_are_taken_apart(
    words: list[str], program: str, script: str, unbuffered: bool
) -> None:
    line = take_apart(words)
    assert (line.program, line.script, line.unbuffered) == (program, script, unbuffered)


def test_the_text_of_a_shell_is_found() -> None:
    assert take_apart(["/bin/sh", "-c", "go"]).text == "go"
    assert take_apart(["bash", "-lc", "go"]).text == "go"
