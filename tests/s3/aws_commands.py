"""The aws command as a process that stays: one JSON list of arguments a line, one JSON answer.

Its start takes longer than most of what it is asked for here.
"""

import contextlib
import io
import json
import sys

from awscli.clidriver import CLIDriver, create_clidriver


def answer(program: CLIDriver, arguments: list[str]) -> dict[str, object]:
    """Run one command as the aws program does."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = program.main(arguments)
        except SystemExit as end:
            code = end.code
    said = [stream.flush() or stream.buffer.getvalue().decode() for stream in (out, err)]
    return {"code": code or 0, "out": said[0], "err": said[1]}


if __name__ == "__main__":
    transfers = create_clidriver()  # "s3api" keeps too much of one command for the next
    for line in sys.stdin:
        asked = json.loads(line)
        aws = transfers if asked[0] == "s3" else create_clidriver()
        print(json.dumps(answer(aws, asked)), flush=True)
