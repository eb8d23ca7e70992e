"""``python -I -S <this folder>/__main__.py train``: runs the user's script as a training job.

Also the first file of the toolkit's zip (``archive.py``): ``python -I -S toolkit.zip train``.
"""

import sys

if not __package__:
    # Started by path, in isolated mode: nothing but the standard library is importable yet. The
    # package's parent goes last, so that whatever lies beside it shadows no standard module.
    sys.path.append(__file__.rsplit("/", 3)[0])

from trainshed.toolkit.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
