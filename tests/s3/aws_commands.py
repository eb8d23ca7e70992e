"""The aws command as a process that stays: one JSON list of arguments a line, one JSON answer.

Its start takes longer than most of what it is asked for here.
"""

import contextlib
import io
import json
import sys

from awscli.clidriver import create_clidriver


def answer(arguments: list[str]) -> dict[str, object]:
    """Run one command as the aws program does."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = create_clidriver().main(arguments)
        except SystemExit as end:
            code = end.code
    said = [stream.flush() or stream.buffer.getvalue().decode() for stream in (out, err)]
    return {"code": code or 0, "out": said[0], "err": said[1]}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
