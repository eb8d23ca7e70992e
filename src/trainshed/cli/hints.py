"""From the reason a job failed to what its owner can do: the cases people meet most."""

import re
from typing import Final

_HINTS: Final = (
    # These reasons say what to do themselves.
    (r"out of memory: the kernel|there was no room left on what it wrote to", ""),
    (
        r"No module named '?pip\b",
        "nothing can be installed without pip: install it, or the requirements, in the image",
    ),
    (
        r"No module named '?([\w.]+)|ModuleNotFoundError|ImportModuleError",
        "add the package to a requirements.txt beside the script",
    ),
    (
        r"InstallRequirementsError",
        "try 'pip install -r requirements.txt' by hand: the reason is in the log",
    ),
    (
        r"exit code: 137\b|[Oo]ut of memory|OutOfMemory|MemoryError|[Cc]annot allocate memory",
        "it ran out of memory or was killed: use smaller batches, or a place with more memory",
    ),
    (r"exit code: 139\b", "a native library crashed (SIGSEGV): run the script alone to see where"),
    (
        r"exit code: 127\b|not found on PATH|No such file or directory: 'train'",
        "the image has no such program: name one of its own with --entrypoint, or run a script",
    ),
    (
        r"matched no files|No S3 objects found|NoSuchKey|NoSuchBucket",
        "nothing is at the address of a channel: check --data",
    ),
    (r"No space left|ENOSPC", "the disk is full: free space, then run it again"),
    (r"unrecognized arguments", "the script's argparse does not know one of the --hp names"),
    (
        r"CapacityError|Insufficient capacity",
        "nothing is free now: ask for fewer nodes, or try again later",
    ),
    (r"InternalServerError", "this is the platform's fault, not the script's: run it again"),
)


def hint(reason: str, name: str) -> str:
    """Return one thing to do about a failure; "" where the reason says it already.

    Args:
        reason: DescribeTrainingJob's ``FailureReason``.
        name: the job's name.
    """
    for pattern, advice in _HINTS:
        if re.search(pattern, reason):
            return advice
    if reason.startswith("ClientError"):  # the platform's words: they end with what to do
        return ""
    return f"the last lines of 'trainshed logs {name}' say more"
