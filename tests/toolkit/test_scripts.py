"""Real scripts, run by the toolkit as a process of its own."""

import os
import signal
import sys
from pathlib import Path

import pytest
from tests.toolkit.conftest import TOOLKIT, Job

from trainshed.contract.exits import failure_reason


def test_a_script_gets_arguments_variables_and_the_code_folder(job: Job) -> None:
    job.code(
        "train.py",
        "import os, sys, helper\n"
        "print(sys.argv, os.getcwd(), helper.WORD, os.environ['SM_HP_LR'], os.environ['EXTRA'])",
        lr=0.1,
        b="a b",
    )
    (job.tree.code / "helper.py").write_text("WORD = 'helped'")
    job.variables["EXTRA"] = "kept"
    ended = job.run()
    told = f"['train.py', '-b', 'a b', '--lr', '0.1'] {job.tree.code} helped 0.1 kept\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, told, "")
    assert job.tree.success.read_text() == ""
    assert not job.tree.failure.exists()


def test_a_script_in_a_folder_imports_from_the_code_folder(job: Job) -> None:
    job.code("jobs/train.py", "import helper; print(helper.WORD)")
    (job.tree.code / "helper.py").write_text("WORD = 'helped'")
    assert job.run().stdout == "helped\n"


def test_an_exception_leaves_its_traceback_in_the_failure_file(job: Job) -> None:
    job.code("train.py", "def go():\n    raise ValueError('bad data')\ngo()", lr=0.1)
    ended = job.run()
    assert ended.returncode == 1
    assert ended.stderr.endswith("ValueError: bad data\n")
    # From Python 3.13 on, a traceback marks the place of a call with "~~^^" on a line of its own.
    lines = [line for line in job.failure.splitlines() if not line or line.strip(" ~^")]
    assert "\n".join(lines) == (
        'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback (most recent call last):\n'
        f'  File "{job.tree.code}/train.py", line 3, in <module>\n    go()\n'
        f"  File \"{job.tree.code}/train.py\", line 2, in go\n    raise ValueError('bad data')\n"
        f'ValueError: bad data"\nCommand "{sys.executable} train.py --lr 0.1"'
    )
    assert not job.tree.success.exists()


def test_a_deep_traceback_still_tells_its_cause_within_a_failure_reason(job: Job) -> None:
    lines = [f"def f{n}(): f{n + 1}()" for n in range(60)]
    job.code("train.py", "\n".join([*lines, "def f60(): raise KeyError('loss')", "f0()"]))
    job.run()
    reason = failure_reason(1, job.failure, "", False)
    assert "KeyError: 'loss'" in reason
    assert 'Command "' in reason
    assert reason.endswith("exit code: 1")


def test_an_exit_code_is_handed_on(job: Job) -> None:
    job.code("train.py", "import sys; sys.exit(3)")
    assert job.run().returncode == 3
    assert "ExitCode 3" in job.failure


def test_a_failure_file_of_the_scripts_own_is_kept(job: Job) -> None:
    job.code(
        "train.py",
        "import os, sys\nopen(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('no data')\n"
        "sys.exit(1)",
    )
    job.tree.output.mkdir()
    assert job.run().returncode == 1
    assert job.failure == "no data"


def test_death_by_signal_is_named(job: Job) -> None:
    job.code("train.py", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert job.run().returncode == 139
    assert "killed by signal SIGSEGV (11)" in job.failure


def test_sigterm_reaches_the_script_which_saves_its_model(job: Job) -> None:
    job.code(
        "train.py",
        "import os, signal, sys\n"
        "def save(*_):\n"
        "    os.makedirs(os.environ['SM_MODEL_DIR'])\n"
        "    open(os.environ['SM_MODEL_DIR'] + '/weights', 'w').write('half')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "print('ready')\n"
        "signal.pause()\n",
    )
    process = job.start()
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"  # unbuffered: it did not flush
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (job.tree.model / "weights").read_text() == "half"


def test_a_script_that_does_not_mind_sigterm_ends_as_143(job: Job) -> None:
    job.code("train.py", "import signal; print('ready'); signal.pause()")
    process = job.start()
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert "killed by signal SIGTERM (15)" in job.failure


def test_output_passes_through_byte_by_byte(job: Job) -> None:
    job.code(
        "train.py",
        "import os\nos.write(1, b'\\xff\\x00\\r50%')\nos.write(2, b'\\xfe\\r' + b'x' * 3_000_000)",
    )
    process = job.start()
    out, err = process.communicate(timeout=60)
    assert out == b"\xff\x00\r50%"
    assert err == b"\xfe\r" + b"x" * 3_000_000


def test_a_process_left_behind_does_not_hold_the_job_up(job: Job) -> None:
    job.code(
        "train.py",
        "import subprocess\n"
        "left = subprocess.Popen(['sleep', '300'], stdout=subprocess.DEVNULL)\n"
        "print(left.pid)",
    )
    process = job.start()
    assert process.wait(timeout=60) == 0
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    process.communicate()


def test_a_shell_script_gets_its_arguments_quoted(job: Job) -> None:
    job.code("go.sh", '#!/bin/sh\nfor each; do echo "<$each>"; done', text="a 'b' $(id); c")
    assert job.run().stdout == "<--text>\n<a 'b' $(id); c>\n"


def test_a_shell_scripts_python_is_the_one_that_was_chosen(job: Job) -> None:
    job.code("go.sh", "#!/bin/sh\ncommand -v python\n")
    job.variables["TRAINSHED_PYTHON"] = sys.executable
    assert job.run().stdout == f"{Path(sys.executable).parent}/python\n"


def test_the_environment_variable_names_the_program_too(job: Job) -> None:
    (job.tree.code / "other.py").write_text("print('other')")
    job.code("train.py", "print('train')")
    job.variables["SAGEMAKER_PROGRAM"] = "other.py"
    assert job.run().stdout == "other\n"


def test_the_platforms_words_to_the_toolkit_are_not_the_scripts(job: Job) -> None:
    job.code("train.py", "import os; print([k for k in os.environ if k.startswith('TRAINSHED')])")
    job.variables["TRAINSHED_PYTHON"] = sys.executable
    assert job.run().stdout == "[]\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("", "is not a path inside"),
        ("../train.py", "is not a path inside"),
        ("/etc/passwd.py", "is not a path inside"),
        ("-c", "is not a path inside"),
        ("missing.py", "which holds: train.py"),
    ],
)
def test_an_entry_point_outside_the_source_is_refused(job: Job, program: str, words: str) -> None:
    job.code("train.py", "")
    job.hyperparameters(sagemaker_program=program)
    ended = job.run()
    assert ended.returncode == 1
    assert words in job.failure
    assert job.failure in ended.stderr


def test_a_launcher_that_is_not_offered_is_said_so(job: Job) -> None:
    job.code("train.py", "print('alone')", sagemaker_distributed_dataparallel_enabled=True)
    ended = job.run()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "sagemaker_distributed_dataparallel_enabled" in job.failure
    assert "torch_distributed" in job.failure


def test_an_interpreter_that_is_not_there_is_said_so(job: Job) -> None:
    job.code("train.py", "")
    job.variables["TRAINSHED_PYTHON"] = "/nowhere/python"
    assert job.run().returncode == 1
    assert "/nowhere/python" in job.failure


def test_a_missing_config_file_is_named(job: Job) -> None:
    job.code("train.py", "")
    job.tree.resource_config.unlink()
    assert job.run().returncode == 1
    assert "resourceconfig.json cannot be read" in job.failure


def test_a_variable_too_long_for_the_system_is_left_out_with_a_word(job: Job) -> None:
    job.code("train.py", "import os; print('SM_HPS' in os.environ, os.environ['SM_HP_A0'] != '')")
    big = {f"a{n}": "x" * 2500 for n in range(60)}
    job.hyperparameters(sagemaker_program="train.py", **big)
    ended = job.run()
    assert ended.returncode == 0
    assert "variable 'SM_HPS' is left out" in ended.stdout
    assert ended.stdout.endswith("False True\n")


def test_a_value_that_no_program_can_be_given_is_a_clear_failure(job: Job) -> None:
    job.code("train.py", "", text="a\0b")
    assert job.run().returncode == 1
    assert "cannot be started" in job.failure


@pytest.mark.parametrize("words", [[], ["train"]])
def test_no_word_means_train_as_well(job: Job, words: list[str]) -> None:
    job.code("train.py", "print('trained')")
    ended = job.run(sys.executable, "-I", "-S", str(TOOLKIT), *words)
    assert (ended.returncode, ended.stdout) == (0, "trained\n")


@pytest.mark.parametrize("words", [["serve"], ["train", "now"], ["python", "train.py"]])
def test_only_train_is_understood(job: Job, words: list[str]) -> None:
    ended = job.run(sys.executable, "-I", "-S", str(TOOLKIT), *words)
    assert ended.returncode == 2
    assert repr(" ".join(words)) in ended.stderr
    assert "runs training jobs only" in ended.stderr


R_SCRIPT = """\
#!/bin/sh
echo "R:$*"
"""


def r_program(folder: Path) -> str:
    folder.mkdir()
    (folder / "Rscript").write_text(R_SCRIPT)
    (folder / "Rscript").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_an_r_script_without_a_first_line_is_run_by_rscript(job: Job, tmp_path: Path) -> None:
    job.code("train.R", "cat('hello')", lr=0.1, text="a b; id")
    job.variables["PATH"] = r_program(tmp_path / "bin")
    assert job.run().stdout == "R:train.R --lr 0.1 --text a b; id\n"


def test_an_r_script_with_a_first_line_says_itself_what_runs_it(job: Job, tmp_path: Path) -> None:
    job.code("train.R", "#!/bin/echo own\ncat('hello')", lr=0.1)
    job.variables["PATH"] = r_program(tmp_path / "bin")
    assert job.run().stdout == "own ./train.R --lr 0.1\n"


def test_an_r_script_where_there_is_no_r_is_a_clear_failure(job: Job) -> None:
    job.code("train.R", "cat('hello')")
    assert job.run().returncode == 1
    assert "there is no Rscript on the PATH" in job.failure


def test_lists_and_nested_values_reach_a_shell_script_whole(job: Job) -> None:
    job.code(
        "go.sh",
        '#!/bin/sh\nfor each; do echo "<$each>"; done',
        layers=[64, "a 'b'"],
        options={"b": [1, 2], "a": {"x": None}},
        nothing=None,
        flag=True,
    )
    assert job.run().stdout.splitlines() == [
        "<--flag>",
        "<True>",
        "<--layers>",
        "<[64, \"a 'b'\"]>",
        "<--nothing>",
        "<>",
        "<--options>",
        "<a={'x': None},b=[1, 2]>",
    ]
