"""What requirements.txt and setup.py ask for, installed from a local folder of wheels."""

import base64
import hashlib
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tests.toolkit.conftest import Job

USES = "import tinydep; print('tinydep', tinydep.VERSION)"
BACKEND = '''\
"""Builds this package without any other: pip has no index to fetch a builder from."""
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "mypkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.write("mypkg/__init__.py")
        wheel.write("mypkg/train.py")
        wheel.writestr("mypkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: mypkg\\nVersion: 1.0\\n")
        wheel.writestr("mypkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("mypkg-1.0.dist-info/RECORD", "")
    return name

build_editable = build_wheel
'''  # noqa: E501

IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def add_wheel(folder: Path, version: str) -> None:
    """Write a wheel of ``tinydep`` with one console script, by hand."""
    info = f"tinydep-{version}.dist-info"
    files = {
        "tinydep.py": f"VERSION = {version!r}\ndef main(): print('tool', VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tinydep\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntinytool = tinydep:main\n",
    }
    record = ""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"tinydep-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
            record += f"{name},sha256={digest.decode()},{len(text)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    add_wheel(folder, "1.0")
    return folder


@pytest.fixture
def shared(job: Job, tmp_path: Path) -> Path:
    """Set the job up as the process runtime does; return the folder of environments."""
    job.variables["TRAINSHED_PYTHON"] = sys.executable
    job.variables["TRAINSHED_ENVIRONMENTS"] = str(tmp_path / "environments")
    return tmp_path / "environments"


def require(job: Job, wheels: Path, *lines: str) -> None:
    text = "\n".join(["--no-index", f"--find-links {wheels}", *lines])
    (job.tree.code / "requirements.txt").write_text(text)


def environments_in(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def test_an_environment_has_the_requirements_and_the_interpreters_own_packages(
    job: Job, wheels: Path, shared: Path
) -> None:
    job.code("train.py", f"{USES}; import pluggy, subprocess; subprocess.run(['tinytool'])")
    require(job, wheels, "tinydep==1.0", "pluggy")  # pluggy: here already, so nothing is fetched
    ended = job.run()
    assert ended.returncode == 0, ended.stderr
    assert "trainshed: making the environment" in ended.stdout
    assert "tinydep 1.0\n" in ended.stdout
    assert "tool 1.0\n" in ended.stdout
    found = subprocess.run([sys.executable, "-c", "import tinydep"], capture_output=True)
    assert found.returncode == 1  # the user's interpreter is as it was


def test_the_same_requirements_are_installed_once(job: Job, wheels: Path, shared: Path) -> None:
    job.code("train.py", USES)
    require(job, wheels, "tinydep")
    job.run()
    again = job.run()
    assert "trainshed: using the environment" in again.stdout
    assert "making" not in again.stdout
    assert again.stdout.endswith("tinydep 1.0\n")
    assert len(environments_in(shared)) == 1


def test_other_requirements_get_another_environment(job: Job, wheels: Path, shared: Path) -> None:
    job.code("train.py", USES)
    add_wheel(wheels, "2.0")
    require(job, wheels, "tinydep==1.0")
    assert job.run().stdout.endswith("tinydep 1.0\n")
    require(job, wheels, "tinydep==2.0")
    assert job.run().stdout.endswith("tinydep 2.0\n")
    assert len(environments_in(shared)) == 2


def test_two_jobs_at_once_make_one_environment(
    job: Job, wheels: Path, shared: Path, tmp_path: Path
) -> None:
    other = Job(tmp_path / "other")
    other.variables = job.variables
    for each in (job, other):
        each.code("train.py", USES)
        require(each, wheels, "tinydep==1.0")
    processes = [job.start(), other.start()]
    outs = [process.communicate(timeout=100)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("making the environment" in out for out in outs) == [False, True]
    assert all(out.endswith("tinydep 1.0\n") for out in outs)


def test_a_failed_install_tells_pips_last_words_and_leaves_nothing(
    job: Job, wheels: Path, shared: Path
) -> None:
    job.code("train.py", "print('ran')")
    require(job, wheels, "no-such-package")
    ended = job.run()
    assert ended.returncode == 1
    assert "ran" not in ended.stdout
    assert job.failure.startswith("InstallRequirementsError:\nExitCode 1\n")
    assert "No matching distribution found for no-such-package" in job.failure
    assert 'pip install -r requirements.txt"' in job.failure
    assert environments_in(shared) == []


def test_what_a_killed_job_left_is_made_anew(job: Job, wheels: Path, shared: Path) -> None:
    job.code("train.py", USES)
    require(job, wheels, "tinydep")
    job.run()
    (made,) = environments_in(shared)
    (made / "trainshed-complete").unlink()
    for path in made.rglob("tinydep.py"):
        path.write_text("broken(")
    assert job.run().stdout.endswith("tinydep 1.0\n")


def test_requirements_that_name_other_files_are_told_apart_by_them(
    job: Job, wheels: Path, shared: Path
) -> None:
    job.code("train.py", USES)
    add_wheel(wheels, "2.0")
    require(job, wheels, "-r more.txt")
    (job.tree.code / "more.txt").write_text("tinydep==1.0")
    assert job.run().stdout.endswith("tinydep 1.0\n")
    (job.tree.code / "more.txt").write_text("tinydep==2.0")
    assert job.run().stdout.endswith("tinydep 2.0\n")


def test_a_file_of_the_users_does_not_hide_pips_own_modules(
    job: Job, wheels: Path, shared: Path
) -> None:
    job.code("train.py", USES)
    (job.tree.code / "logging.py").write_text("raise RuntimeError('not for pip')")
    require(job, wheels, "tinydep")
    assert "tinydep 1.0\n" in job.run().stdout


def test_an_editable_requirement_stays_with_its_job(job: Job, wheels: Path, shared: Path) -> None:
    job.code("train.py", "import mypkg; print('edited')")
    library = job.tree.code / "lib"
    (library / "mypkg").mkdir(parents=True)
    for name in ("__init__.py", "train.py"):
        (library / "mypkg" / name).write_text("")
    (library / "backend.py").write_text(BACKEND)
    (library / "pyproject.toml").write_text(IN_TREE)
    require(job, wheels, "-e ./lib")
    ended = job.run()
    assert ended.stdout.endswith("edited\n"), ended.stderr
    assert not shared.exists()
    assert (job.tree.base / "environment").is_dir()


def test_an_interpreter_without_pip_will_do(
    job: Job, wheels: Path, shared: Path, tmp_path: Path
) -> None:
    venv.EnvBuilder(symlinks=True, with_pip=False).create(tmp_path / "bare")
    job.variables["TRAINSHED_PYTHON"] = str(tmp_path / "bare" / "bin" / "python")
    job.code("train.py", USES)
    require(job, wheels, "tinydep")
    ended = job.run()
    assert ended.stdout.endswith("tinydep 1.0\n"), ended.stderr


def test_in_a_container_pip_installs_into_the_interpreter(
    job: Job, wheels: Path, tmp_path: Path
) -> None:
    venv.EnvBuilder(symlinks=True, with_pip=True).create(tmp_path / "image")
    python = tmp_path / "image" / "bin" / "python"
    job.variables["TRAINSHED_PYTHON"] = str(python)
    job.code("train.py", USES)
    require(job, wheels, "tinydep")
    ended = job.run()
    assert ended.stdout.endswith("tinydep 1.0\n"), ended.stderr
    assert subprocess.run([python, "-c", USES], check=False).returncode == 0


def test_a_package_is_installed_and_its_module_run(job: Job, wheels: Path, shared: Path) -> None:
    code = job.tree.code
    (code / "setup.py").write_text("from setuptools import setup; setup(name='mypkg')")
    (code / "backend.py").write_text(BACKEND)
    (code / "pyproject.toml").write_text(IN_TREE)
    job.code("mypkg/__init__.py", "")
    job.code("mypkg/train.py", f"import sys\n{USES}\nprint(sys.argv[1:])", lr=0.1)
    job.hyperparameters(sagemaker_program="mypkg.train", lr=0.1)
    require(job, wheels, "tinydep")
    ended = job.run()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("tinydep 1.0\n['--lr', '0.1']\n")


def test_a_package_that_does_not_build_is_an_install_module_error(
    job: Job, wheels: Path, shared: Path
) -> None:
    (job.tree.code / "setup.py").write_text("")
    (job.tree.code / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "missing"\nbackend-path = ["."]\n'
    )
    job.hyperparameters(sagemaker_program="mypkg")
    assert job.run().returncode == 1
    assert job.failure.startswith("InstallModuleError:")
    assert environments_in(shared) == []


def test_a_shell_script_installs_for_itself(job: Job, wheels: Path, shared: Path) -> None:
    job.code("go.sh", "#!/bin/sh\necho went\n")
    require(job, wheels, "no-such-package")
    assert job.run().stdout == "went\n"


def test_codeartifact_is_said_not_to_be_offered(job: Job, wheels: Path, shared: Path) -> None:
    job.code("train.py", "")
    require(job, wheels, "tinydep")
    job.variables["CA_REPOSITORY_ARN"] = "arn:aws:codeartifact:us-east-1:1:repository/d/r"
    assert job.run().returncode == 1
    assert "PIP_INDEX_URL" in job.failure
