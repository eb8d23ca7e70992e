import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.contract.exits import (
    LIMIT,
    exit_code_of,
    failure_reason,
    killed_by,
    last_traceback_line,
    traceback_in,
)

TRACEBACK = """\
epoch 1
Traceback (most recent call last):
  File "/opt/ml/code/train.py", line 3, in <module>
    main()
  File "/opt/ml/code/train.py", line 2, in main
    raise ValueError("bad data")
ValueError: bad data
"""


def test_an_exit_code_is_itself_and_a_signal_reads_as_a_shell_shows_it() -> None:
    assert [exit_code_of(code) for code in (0, 3, 255, -9, -15)] == [0, 3, 255, 137, 143]


def test_signals_are_named() -> None:
    assert killed_by(139) == "killed by signal SIGSEGV (11)"
    assert killed_by(1) == killed_by(128) == killed_by(255) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TRACEBACK, "ValueError: bad data"),
        (TRACEBACK + "cleaning up\nbye\n", "ValueError: bad data"),
        (TRACEBACK.replace("ValueError: bad data", "KeyboardInterrupt"), "KeyboardInterrupt"),
        (TRACEBACK.replace("ValueError: bad", "my.odd.Trouble: bad"), "my.odd.Trouble: bad data"),
        ('  File "t.py", line 1\n    a b\n      ^\nSyntaxError: invalid syntax\n', "SyntaxError: invalid syntax"),  # noqa: E501
        ("  raise X\ntorch.OutOfMemoryError: CUDA out of memory\n", "torch.OutOfMemoryError: CUDA out of memory"),  # noqa: E501
        ("all is well\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_exceptions_own_line_is_found(text: str, line: str) -> None:
    assert last_traceback_line(text) == line


def test_of_several_tracebacks_the_last_one_counts() -> None:
    chained = (
        TRACEBACK
        + "\nDuring handling of the above exception, another exception occurred:\n\n"
        + TRACEBACK.replace("ValueError: bad data", "RuntimeError: gave up")
    )
    assert last_traceback_line(chained) == "RuntimeError: gave up"


def test_what_python_prints_while_shutting_down_is_not_the_cause() -> None:
    late = TRACEBACK.replace("epoch 1", "Exception ignored in: <function f at 0x1>").replace(
        "ValueError", "AttributeError"
    )
    assert last_traceback_line(TRACEBACK + late) == "ValueError: bad data"


def test_margins_of_ranks_and_groups_are_cut_off() -> None:
    ranked = "".join(f"[rank0]: {line}\n" for line in TRACEBACK.splitlines())
    assert traceback_in(ranked) == TRACEBACK.partition("\n")[2].rstrip("\n")
    group = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "x.py", line 3, in <module>\n'
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
    )
    assert last_traceback_line(group) == "ExceptionGroup: two (2 sub-exceptions)"
    inner = (
        "  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n"
        '    |   File "x.py", line 1, in f\n'
        "    | KeyError: 'loss'\n"
        "    +------------------------------------\n"
    )
    assert last_traceback_line(group + inner) == "KeyError: 'loss'"


@pytest.mark.parametrize(
    ("exit_code", "failure", "stderr", "oom", "reason"),
    [
        (1, "", "", False, "AlgorithmError: , exit code: 1"),
        (1, "", "warm\nno data today\n\n", False, "AlgorithmError: no data today, exit code: 1"),
        (1, "", TRACEBACK, False, "AlgorithmError: ValueError: bad data, exit code: 1"),
        (2, "no data\n", TRACEBACK, False, "AlgorithmError: no data, exit code: 2"),
        (
            139,
            "",
            "",
            False,
            "AlgorithmError: killed by signal SIGSEGV (11), exit code: 139",
        ),
        (
            139,
            "lost",
            "",
            False,
            "AlgorithmError: lost, killed by signal SIGSEGV (11), exit code: 139",
        ),
        (
            127,
            "",
            "sh: 1: ./go: not found\n",
            False,
            "AlgorithmError: the entrypoint was not found (sh: 1: ./go: not found), exit code: 127",
        ),
        (126, "", "", False, "AlgorithmError: the entrypoint is not executable, exit code: 126"),
        (
            127,
            "",
            "sh: tra: not found\n",
            False,
            "AlgorithmError: the entrypoint was not found (sh: tra: not found), exit code: 127",
        ),
    ],
)
def test_the_reason_reads_as_the_services_with_the_cause_in_it(
    exit_code: int, failure: str, stderr: str, oom: bool, reason: str
) -> None:
    assert failure_reason(exit_code, failure, stderr, oom) == reason


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ('exec: "train": executable file not found in $PATH', "ContainerEntrypoint names another"),
        ("/w.sh: 3: exec: train: not found", "ContainerEntrypoint names another"),
        ("exec /usr/local/bin/train: no such file or directory", "ends as on Windows"),
        (
            'standard_init_linux.go:228: exec user process caused: "no such file or directory"',
            "ends as on Windows",
        ),
        ("exec /opt/go: exec format error", "cannot be run (exec /opt/go: exec format error); it"),
    ],
)
def test_a_command_that_never_ran_is_said_with_what_to_do(stderr: str, words: str) -> None:
    assert words in failure_reason(127, "", stderr, False)


def test_a_path_that_is_not_there_speaks_for_itself() -> None:
    said = 'exec: "/nope": stat /nope: no such file or directory'
    reason = f"AlgorithmError: the entrypoint was not found ({said}), exit code: 127"
    assert failure_reason(127, "", said, False) == reason


def test_a_want_of_memory_is_said_with_what_to_do() -> None:
    reason = failure_reason(137, "", "", True)
    assert "out of memory" in reason
    assert "instance type with more memory" in reason


def test_a_full_disk_is_said_whatever_the_script_said() -> None:
    reason = failure_reason(1, "", "OSError: [Errno 28] No space left on device: 'x'", False, True)
    assert reason.startswith("AlgorithmError: OSError: [Errno 28] No space left on device: 'x', ")
    assert "the machine's disk is full; make room there" in reason


def test_no_space_where_the_disk_has_some_hints_at_shared_memory() -> None:
    stderr = "RuntimeError: could not write /dev/shm/torch_1: No space left on device"
    reason = failure_reason(1, "", stderr, False)
    assert "trainshed:shm-size" in reason
    assert "disk is full" not in reason


def test_a_want_of_memory_goes_before_a_full_disk() -> None:
    assert "disk is full" not in failure_reason(137, "", "", True, True)


def test_a_kill_that_nobody_explains_hints_at_memory() -> None:
    assert "may have run out of memory" in failure_reason(137, "", "", False)


def test_the_cause_is_found_in_the_toolkits_own_form() -> None:
    text = (
        f'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{TRACEBACK[8:].strip()}"\nCommand "x"'
    )
    assert last_traceback_line(text) == "ValueError: bad data"


def test_a_long_text_loses_its_middle_never_its_cause_or_exit_code() -> None:
    long = TRACEBACK.replace("    main()\n", '  File "deep.py", line 9, in f\n' * 99)
    reason = failure_reason(1, f'ExecuteUserScriptError:\nErrorMessage "{long}', "", False)
    assert len(reason) == LIMIT
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:")
    assert reason.endswith(" [...] ValueError: bad data, exit code: 1")


@given(
    st.integers(1, 255),
    st.text(max_size=3000),
    st.text(max_size=3000),
    st.booleans(),
)
def test_no_reason_is_too_long_and_each_ends_with_its_exit_code(
    exit_code: int, failure: str, stderr: str, oom: bool
) -> None:
    reason = failure_reason(exit_code, failure, stderr, oom)
    assert len(reason) <= LIMIT
    assert reason.startswith("AlgorithmError: ")
    assert reason.endswith(f", exit code: {exit_code}")
    assert not oom or "out of memory" in reason


@given(st.text(alphabet="ab :\n", max_size=4000), st.text(alphabet="xyz ", max_size=300))
def test_a_tracebacks_last_line_survives_any_length_of_text(before: str, message: str) -> None:
    line = f"ValueError: {message}".strip()
    text = f"{before}\nTraceback (most recent call last):\n  File\n{line}\n"
    assert line in failure_reason(1, text, "", False)
    assert line in failure_reason(1, "", text, False)
