"""What the suite's images are: environments for the process runtime, built images for Docker.

An image's name means the same on both, as far as the process runtime can have it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
STOP_SECONDS = 3.0
"""Between SIGTERM and SIGKILL; the service gives 120."""

FILE_SYSTEM = "fs-0123456789abcdef0"
"""A folder of the machine stands for it, with ``sets/a.csv`` in it."""

DOCKERFILES = {
    "train": "COPY probe.py /usr/local/bin/train",
    "entrypoint": """
COPY probe.py entry.py /image/
ENTRYPOINT ["python3", "/image/entry.py", "of-the-image"]
CMD ["of-cmd"]""",
    "wrapper": """
COPY wrapper.sh /image/wrapper.sh
COPY probe.py /usr/local/bin/train
ENTRYPOINT ["/image/wrapper.sh"]""",
    "wrapper-script": """
COPY wrapper.sh /image/wrapper.sh
ENTRYPOINT ["/image/wrapper.sh"]""",
    "late": """
COPY late.sh /image/late.sh
ENTRYPOINT ["/image/late.sh"]""",
    "shell-form": """
COPY probe.py entry.py /image/
ENTRYPOINT python3 /image/entry.py shell-form""",
    "cmd": """
COPY probe.py /usr/local/bin/train
CMD ["python3", "-c", "raise SystemExit(9)"]""",
    "settings": """
COPY probe.py /tools/bin/train
ENV PATH=/tools/bin:/usr/bin:/bin OF_IMAGE=kept TRAINING_JOB_NAME=of-the-image
WORKDIR /work/here
STOPSIGNAL SIGINT""",
    "user": """
COPY probe.py /usr/local/bin/train
USER 1234:1234""",
    "code": """
COPY probe.py baked.py /opt/ml/code/
COPY probe.py /opt/ml/model/of-the-image
COPY probe.py /opt/ml/input/of-the-image
COPY probe.py /usr/local/bin/train""",
    "launch": "COPY launcher.py /usr/local/bin/torchrun\nCOPY launcher.py /usr/local/bin/mpirun",
    "code-script": "COPY probe.py baked.py /opt/ml/code/",
}
"""Name to what stands after FROM."""
LAUNCHER = "#!/usr/bin/env python3\nimport probe\nprobe.save()\n"
"""Stands for torchrun and mpirun; the probe lies in the job's code."""
FILES = {
    "entry.py": "import sys\nsys.path.insert(0, '/image')\nimport probe\nprobe.save()\n",
    "launcher.py": LAUNCHER,
    "wrapper.sh": '#!/bin/sh\nexport WRAPPED="$*"\nexec "$@"\n',
    # Its second host begins when it is told to.
    "late.sh": """#!/bin/sh
while [ "$(hostname)" = algo-2 ] && [ ! -e /opt/ml/model/begin ]; do sleep 0.05; done
exec "$@"
""",
    "baked.py": "import probe\nprobe.save()\n",
}


def settings(runtime: str, folder: Path) -> str:
    """Return a server's settings for a runtime, and make what its images need."""
    own = _docker(folder) if runtime == "docker" else _process(folder)
    shared = folder / "shared" / "sets"
    shared.mkdir(parents=True)
    (shared / "a.csv").write_text("shared")
    return (
        own
        + f"""
[file_systems]
"{FILE_SYSTEM}" = "{shared.parent}"
"""
    )


def _process(folder: Path) -> str:
    """Make environments: one with Python, one with a ``train`` as well, one with launchers."""
    for name in ("python", "train", "launch"):
        programs = folder / name / "bin"
        programs.mkdir(parents=True)
        for python in ("python", "python3"):
            (programs / python).symlink_to(sys.executable)
    probe = (HERE / "probe.py").read_text()
    for name, text in {
        "train/bin/train": probe,
        "launch/bin/torchrun": LAUNCHER,
        "launch/bin/mpirun": LAUNCHER,
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"""
[backends.local]
max_nodes = 12
stop_seconds = {STOP_SECONDS}
[backends.local.images]
"trainshed-test/contract-train" = "{folder}/train"
"trainshed-test/contract-launch" = "{folder}/launch"
"*" = "{folder}/python"
"""


def _docker(folder: Path) -> str:
    """Build the images; what was built before is found again by the engine."""
    context = folder / "context"
    context.mkdir()
    for name, text in {**FILES, "probe.py": (HERE / "probe.py").read_text()}.items():
        path = context / name
        path.write_text(text)
        path.chmod(0o755)
        os.utime(path, (0, 0))
    for name, text in DOCKERFILES.items():
        _build(f"trainshed-test/contract-{name}", text, context)
    return f"""
backend = "docker"
[backends.docker]
max_nodes = 12
stop_seconds = {STOP_SECONDS}
[backends.docker.instances]
"ml.t3.medium" = {{ cpus = 1, memory = "96m" }}
"""


def _build(tag: str, text: str, context: Path) -> None:
    environment: Mapping[str, str] = {**os.environ, "DOCKER_BUILDKIT": "0"}
    built = subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, "--file", "-", str(context)],
        input=f"FROM trainshed-test/python:base\n{text.strip()}\n",
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert built.returncode == 0, (tag, built.stderr)
