"""``python -I -S <this folder>/__main__.py train``: runs the user's script as a training job.

Also the first file of the toolkit's zip (``archive.py``), which may be the program ``train``.
It is read by any Python 3, so that one too old is told so.
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - that is the question
    sys.exit(
        f"trainshed: this is Python {sys.version_info[0]}.{sys.version_info[1]}, and running "
        "training scripts takes Python 3.8 or newer; use an image with a newer python3, or one "
        "that has its own `train`"
    )

if not __package__:
    # Started by path, in isolated mode: nothing but the standard library is importable yet. The
    # package's parent goes last, so that whatever lies beside it shadows no standard module.
    sys.path.append(__file__.rsplit("/", 3)[0])

from trainshed.toolkit.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
