"""From what went wrong to what its owner can do about it, in plain words.

The reasons are the ones that users meet: those of the platform itself, what programs say when they
die, and what the service words the same. One table, so that the command line, the API and every
page give the same advice; its tests run over all reasons that the source has.
"""

import re
from typing import Final

_SAYS_SO: Final = re.compile(
    r"out of memory: the kernel|there was no room left on what it wrote to|What to do:"
)
"""What stands in reasons that tell themselves what to do."""

_JOB: Final = "JOB"
"""What stands in the table for the job's name."""

_TABLE: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    # The program: what it lacks.
    (
        r"No module named '?pip\b",
        ("nothing can be installed without pip: install it, or the requirements, in the image",),
    ),
    (
        r"No module named '?([\w.]+)|ModuleNotFoundError|ImportModuleError",
        ("add the package to a requirements.txt beside the script",),
    ),
    (
        r"InstallRequirementsError|InstallModuleError",
        ("try 'pip install -r requirements.txt' by hand: the reason is in the log",),
    ),
    (
        r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY",
        (
            "the GPU's memory is full: use smaller batches, or accumulate gradients",
            "or an instance type whose GPUs have more memory",
        ),
    ),
    (
        r"/dev/shm|bus error|SIGBUS|DataLoader worker .* is killed",  # noqa: S108 - a text
        (
            "ask for a larger /dev/shm: trainshed run --shm 4g, or the tag trainshed:shm-size",
            "or have fewer worker processes read the data",
        ),
    ),
    (
        (
            r"exit code: 137\b|[Oo]ut of memory|OutOfMemory|MemoryError|[Cc]annot allocate memory"
            r"|instance type with more memory"
        ),
        (
            "it ran out of memory or was killed: use smaller batches, or a place with more memory",
            "data that is read whole can be streamed instead: --input-mode FastFile or Pipe",
        ),
    ),
    (
        r"exit code: 139\b|SIGSEGV",
        ("a native library crashed (SIGSEGV): run the script alone to see where",),
    ),
    (
        r"exec format error|cannot be run \(",
        ("build the image for this machine's processor, or begin the script with #!",),
    ),
    (
        (
            r'exit code: 127\b|not found on PATH|No such file or directory: \'train\'|"train", '
            r"|ContainerArguments were given without"
        ),
        ("the image has no such program: name one of its own with --entrypoint, or run a script",),
    ),
    (
        r"exit code: 126\b",
        ("make the program executable (chmod +x) in the image",),
    ),
    (
        r"exit code: 143\b|SIGTERM",
        ("it was asked to stop: if nobody did, look at 'trainshed explain JOB' for who",),
    ),
    (
        r"unrecognized arguments|the following arguments are required",
        ("the script's argparse does not know one of the --hp names, or lacks one",),
    ),
    (
        r"NCCL|Gloo|rendezvous|Connection (refused|reset) by peer|ncclUnhandled",
        (
            "the nodes could not talk to each other: see each node's end, trainshed logs JOB",
            "the node that failed first is the one to look at; the others only lost it",
        ),
    ),
    # Its data.
    (
        r"No space left|ENOSPC|disk is full|full: ",
        (
            "the disk is full: free space, then run it again",
            "data need not be copied: --input-mode FastFile or Pipe",
        ),
    ),
    (
        r"Checkpoint download failed",
        (
            (
                "what lies under CheckpointConfig.S3Uri cannot be brought back whole: look at it, "
                "trainshed data ls"
            ),
            "or begin anew with another S3Uri (--checkpoints)",
        ),
    ),
    (
        r"Artifact upload failed",
        (
            "the results were not taken: is OutputDataConfig.S3OutputPath right, and writable?",
            "the reason says where they are kept meanwhile",
        ),
    ),
    (
        (
            r"AccessDenied|Access Denied|Forbidden|\b403\b|not authorized|InvalidAccessKeyId"
            r"|SignatureDoesNotMatch|Permission denied|PermissionError"
        ),
        (
            (
                "somebody may not read or write there: check the store's keys (trainshed.toml, "
                "[[stores]])"
            ),
            "and who owns the files; in an image, the user that it runs as",
        ),
    ),
    (
        r"matched no files|No S3 objects found|NoSuchKey|NoSuchBucket|does not exist",
        ("nothing is at the address of a channel: check --data, and trainshed data ls ADDRESS",),
    ),
    (
        r"was replaced meanwhile|bytes changed on their way",
        ("somebody writes to the data while it is read: run it again once that is over",),
    ),
    (
        r"input mode Pipe|FastFile takes|FastFile does not|S3DataType|is no folder: it is only",
        ("choose another mode for the channel: --data NAME=PLACE:mode=File",),
    ),
    (
        (
            r"file_systems|nothing stands for the file system|leads out of its file system"
            r"|there is no folder"
        ),
        ("say in trainshed.toml, [file_systems], which folder stands for the file system",),
    ),
    (
        (
            r"cannot be the name of a channel|are called .* and there is a channel"
            r"|both an object of the channel and a folder|input/data, where its next pipe"
        ),
        ("give the channel or the objects in it other names",),
    ),
    (
        r"line .* has more than .* MiB",
        ("a line of the manifest is too long: is that really the manifest?",),
    ),
    (
        r"Data download failed",
        ("the data could not be brought: check the channels' addresses (--data), then run again",),
    ),
    # The image and the place.
    (
        r"backends\.\w+\.images|no environment is mapped|names no TrainingImage",
        (
            "say in trainshed.toml what stands for the image: [backends.<name>.images]",
            "or name one that is there with --image",
        ),
    ),
    (
        (
            r"no access to the image|there is no image|is no name of an image|could not be pulled"
            r"|cannot be pulled|no image on this machine|registry .* cannot be reached"
        ),
        (
            "check the image's name and tag, and docker login to its registry",
            "an image that docker pull can fetch on this machine can be trained with",
        ),
    ),
    (
        r"nothing in the image .* can run the script",
        ("the script needs Python: choose an image that has it",),
    ),
    (
        r"backend .* is not configured",
        ("name a backend that this server has: trainshed status shows them",),
    ),
    (
        r"nothing is known of the instance type|instance type .* has .* this machine's engine",
        (
            "say in trainshed.toml what the type means here: the error names the table",
            "or ask for another with --instance",
        ),
    ),
    (
        r"ResourceLimitExceeded",
        ("ask for less, or have the project's quota raised: [projects.<name>] in trainshed.toml",),
    ),
    (
        r"CapacityError: .*The job asks",
        (
            "ask for fewer nodes (--nodes), or for another type (--instance)",
            "or let the backend run more of them: [backends.<name>] in trainshed.toml",
        ),
    ),
    (
        r"to give just now and is asked again",
        (
            "nothing: the place is asked again by itself",
            "a job that names other types, too, may start sooner: --instance a,b,c",
        ),
    ),
    (
        r"project.* may .*, and does",
        (
            "nothing: it starts when another job of its project is over",
            "its project's quota is in trainshed.toml, [projects.<name>]",
        ),
    ),
    (
        r"CapacityError|[Ii]nsufficient capacity|at most \d+ nodes",
        (
            "ask for fewer nodes, or name other types that would do: --instance a,b,c",
            "or let it wait for longer: --max-wait",
        ),
    ),
    (
        r"the container cannot be made",
        ("the engine refuses the container: the reason is its own; trainshed doctor looks at it",),
    ),
    # Limits.
    (
        r"MaxRuntimeInSeconds|MaxRuntimeExceeded",
        (
            "give it more time: --max-time, or StoppingCondition.MaxRuntimeInSeconds",
            "with checkpoints (--checkpoints) the next run goes on where this one ended",
        ),
    ),
    (
        r"MaxWaitTimeInSeconds|MaxWaitTimeExceeded",
        (
            "let it wait for longer (--max-wait), or run it without --spot",
            "or name other instance types that would do: --instance a,b,c",
        ),
    ),
    (r"[Qq]uota", ("wait for the project's other jobs, or have its quota raised",)),
    # Nodes that went.
    (
        r"goes on after that when it has|attempts left in RetryStrategy",
        (
            "run it with --spot or --retries: then it goes on by itself when a node is taken away",
            "and with --checkpoints s3://…, so that its work is kept",
        ),
    ),
    (
        r"[Ss]pot|taken (away|back)|interrupted|[Pp]reempted|drill",
        (
            "the next attempt begins once there is capacity; nothing has to be done",
            "its work is kept if it writes checkpoints: --checkpoints s3://…",
        ),
    ),
    (
        r"vanished|agent on .* ended while|was removed while it ran|process that feeds",
        (
            "the node was lost, not the script at fault: run it again, or let it retry (--retries)",
            "does the machine have enough memory? trainshed doctor",
        ),
    ),
    (
        r"NOT being kept|Checkpoints?: ",
        (
            "checkpoints are not stored: see that their bucket can be reached and has room",
            "until then an interruption costs all work since the last that was kept",
        ),
    ),
    (
        r"InternalServerError",
        (
            (
                "this is the platform's fault, not the script's: run it again, or let it retry "
                "(--retries)"
            ),
            "trainshed doctor looks at this machine",
        ),
    ),
    (r"ClientError", ("correct the request as the reason says, then run it again",)),
    (
        r"waiting for capacity",
        ("nothing is free now: it starts by itself; trainshed queue shows who goes before it",),
    ),
    (
        r"AlgorithmError|exit code: \d+|Exit ?Code",
        ("the last lines of 'trainshed logs JOB' say more",),
    ),
)
"""Patterns and what to do, at most two lines each; the first that fits wins, so what is special
stands before what is general."""


def advice(reason: str, name: str = _JOB) -> tuple[str, ...]:
    """Return what to do, in at most two lines; () when nothing fits.

    Args:
        reason: a FailureReason, a status message, or why an attempt was interrupted.
        name: the job's, for commands that the advice holds.
    """
    for pattern, lines in _TABLE:
        if re.search(pattern, reason):
            return tuple(line.replace(_JOB, name) for line in lines)
    return ()


def says_what_to_do(reason: str) -> bool:
    """Tell whether a reason needs no advice: it holds its own."""
    return _SAYS_SO.search(reason) is not None
