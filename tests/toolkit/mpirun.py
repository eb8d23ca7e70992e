#!/usr/bin/env python3
"""Stands in for Open MPI's mpirun: one process a host, by the remote shell that it is told.

Written from the behaviour of Open MPI 4.1 as seen on two hosts; the real one is in
``test_mpi_hosts.py``.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

words = sys.argv[1:]
hosts = words[words.index("--host") + 1].split(",")
script = words[words.index("/bin/sh") :]
agent = os.environ["OMPI_MCA_plm_rsh_agent"].split()  # noqa: SIM112
started = [subprocess.Popen(script)]
for host in hosts[1:]:
    remote = f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(script)}"
    started.append(subprocess.Popen([*agent, host, remote]))
codes = [each.wait() for each in started]
print(json.dumps({"codes": codes}), flush=True)
for rank, code in enumerate(codes):
    if code:
        print(f"  Process name: [[1,1],{rank}]\n  Exit code:    {code}", file=sys.stderr)
        sys.exit(code)
