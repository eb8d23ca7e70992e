#!/usr/bin/env python3
"""What a job's program sees of its container, written down as JSON.

It runs inside the container, on the image's own Python: standard library only, Python 3.8. As a
program (an image's own ``train``) it looks and ends; programs of jobs import it.
"""

import json
import os
import signal
import socket
import stat
import sys
import time

BASE = "/opt/ml"
FOLDERS = (
    "",
    "input",
    "input/config",
    "input/data",
    "model",
    "output",
    "output/data",
    "checkpoints",
)
KEPT_BYTES = 1 << 20


def look():
    """Return everything that a program can see of its container."""
    return {
        "tree": tree(),
        "files": files(os.path.join(BASE, "input")),
        "writable": {name: writable(os.path.join(BASE, name)) for name in FOLDERS},
        "tmp_writable": writable("/tmp"),
        "mounts": mounts(),
        "environment": dict(os.environ),
        "argv": sys.argv,
        "executable": sys.executable,
        "version": list(sys.version_info[:2]),
        "folder": os.getcwd(),
        "pid": os.getpid(),
        "first_process": first_process(),
        "uid": os.getuid(),
        "umask": umask(),
        "stdin": stdin(),
        "ignored": ignored(),
        "host_name": socket.gethostname(),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "shm_bytes": shm_bytes(),
        "memory_bytes": memory_bytes(),
        "processors": len(os.sched_getaffinity(0)),
    }


def save(**more):
    """Look, and write what was seen where it is carried out; ``more`` goes with it."""
    seen = {**look(), **more}
    host = host_of(seen["files"])
    path = os.path.join(BASE, "output", "data", "seen-%s.json" % host)
    with open(path, "w") as file:
        json.dump(seen, file)


def write(name, text):
    """Write a file below /opt/ml, with the folders it needs."""
    path = os.path.join(BASE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def config(name):
    """Return the content of one of the config files."""
    with open(os.path.join(BASE, "input", "config", name + ".json")) as file:
        return json.load(file)


def host_of(seen_files):
    """Return this host's name by what the platform wrote; that of the system without it."""
    text = seen_files.get("config/resourceconfig.json")
    return json.loads(text)["current_host"] if text else socket.gethostname()


def tree():
    """Return everything below /opt/ml by its path."""
    found = {"": entry(BASE)}
    for parent, folders, names in os.walk(BASE):
        for name in folders + names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, BASE)] = entry(path)
    return found


def entry(path):
    status = os.lstat(path)
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "link"))
    kind = next((name for fits, name in kinds if fits(status.st_mode)), "other")
    return {"kind": kind, "mode": stat.S_IMODE(status.st_mode), "size": status.st_size}


def files(folder):
    """Return the content of the files below a folder, a character a byte."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read(KEPT_BYTES).decode("latin-1")
    return found


def writable(folder):
    path = os.path.join(folder, "probe-was-here")
    try:
        with open(path, "w") as file:
            file.write("1")
        os.unlink(path)
    except OSError:
        return False
    return True


def mounts():
    """Return the options of each mount by its place."""
    with open("/proc/self/mountinfo") as file:
        words = [line.split() for line in file]
    return {each[4]: each[5].split(",") for each in words}


def first_process():
    with open("/proc/1/cmdline", "rb") as file:
        return [word.decode("latin-1") for word in file.read().rstrip(b"\0").split(b"\0")]


def umask():
    found = os.umask(0o22)
    os.umask(found)
    return found


def stdin():
    try:
        return os.path.realpath("/proc/self/fd/0")
    except OSError:
        return ""


def ignored():
    """Return the names of signals that this program was started with, deaf to them."""
    with open("/proc/self/status") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("SigIgn"))
    own = {signal.SIGPIPE, signal.SIGXFSZ}  # Python's doing
    return [each.name for each in signal.Signals if mask >> (each - 1) & 1 and each not in own]


def shm_bytes():
    found = os.statvfs("/dev/shm")
    return found.f_frsize * found.f_blocks


def memory_bytes():
    """Return the memory limit that the container's cgroup has; 0 for none that can be seen."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(name) as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return 0


def address(host, patience=60.0):
    """Return a host's address; peers may need a moment before their names are known."""
    end = time.monotonic() + patience
    while True:
        try:
            return socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    print("the image's own program")
    save()
    write("model/made-by", "the image's own program")
