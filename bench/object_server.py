"""The object store: one large object out, beside nginx, and in, beside one core's MD5."""

import hashlib
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3

from bench import servers

ROUNDS: Final = 5
SIZE: Final = 2 << 30
PUT_SIZE: Final = 1 << 30
PIECE: Final = 1 << 20
BUCKET: Final = "bench"
NGINX: Final = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{}}
http {{ access_log off; sendfile on; client_body_temp_path {folder}; proxy_temp_path {folder};
fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
server {{ listen 127.0.0.1:{port}; root {folder}/root; }} }}
"""


def measure() -> dict[str, float]:
    """Return medians in MiB/s, and the ratios that bounds are set on."""
    with servers.trainshed() as (target, _, _), tempfile.TemporaryDirectory() as folder:
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://{target.host}:{target.port}",
            aws_access_key_id=target.access_key,
            aws_secret_access_key=target.secret_key,
            region_name="us-east-1",
        )
        s3.create_bucket(Bucket=BUCKET)
        root = Path(folder) / "root"
        root.mkdir()
        _generate(root / "object", SIZE)
        s3.upload_file(str(root / "object"), BUCKET, "object")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "object"})
        with _nginx(Path(folder)) as plain:
            ours, theirs = _in_turn(lambda: _drained(url), lambda: _drained(plain))
        piece = os.urandom(PIECE)
        place = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "put"})
        put, md5 = _in_turn(lambda: _put(place, piece), lambda: _hashed(piece))
    return {
        "GET 2 GiB: ours, MiB/s": SIZE / PIECE / ours,
        "GET 2 GiB: nginx with sendfile, MiB/s": SIZE / PIECE / theirs,
        "GET 2 GiB: throughput / nginx (bound 0.7)": theirs / ours,
        "PUT 1 GiB: ours, MiB/s": PUT_SIZE / PIECE / put,
        "PUT 1 GiB: one core's MD5, MiB/s": PUT_SIZE / PIECE / md5,
        "PUT 1 GiB: throughput / MD5 (bound 1)": md5 / put,
    }


def _in_turn(one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float]:
    """Return the medians of both, measured in turn."""
    ones, others = [], []
    for _ in range(ROUNDS):
        ones.append(one())
        others.append(other())
    return statistics.median(ones), statistics.median(others)


def _drained(url: str) -> float:
    """Return the seconds that a download takes whose bytes nobody keeps."""
    command = ["curl", "--silent", "--fail", "--output", os.devnull, url]
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began


def _put(address: str, piece: bytes) -> float:
    """Return the seconds of one PUT to a presigned address, from its first byte to the answer."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc)
    began = time.monotonic()
    connection.putrequest("PUT", f"{url.path}?{url.query}", skip_accept_encoding=True)
    connection.putheader("Content-Length", str(PUT_SIZE))
    connection.endheaders()
    for _ in range(PUT_SIZE // PIECE):
        connection.send(piece)
    answer = connection.getresponse()
    said = answer.read()
    seconds = time.monotonic() - began
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"PUT was answered {answer.status}: {said[:500]!r}")
    return seconds


def _hashed(piece: bytes) -> float:
    began = time.monotonic()
    digest = hashlib.md5(usedforsecurity=False)
    for _ in range(PUT_SIZE // PIECE):
        digest.update(piece)
    return time.monotonic() - began


@contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    """Serve ``<folder>/root/object`` by nginx; yield its address."""
    program = shutil.which("nginx")
    if program is None:
        raise RuntimeError("this benchmark needs nginx; on Debian: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.chmod(0o755)  # nginx's worker is another user
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-e", folder / "log", "-c", folder / "nginx.conf"])
    try:
        url = f"http://127.0.0.1:{port}/object"
        _await(port)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _await(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nginx does not answer")


def _generate(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // PIECE):
            file.write(os.urandom(PIECE))
