"""``python -m trainshed.cli``: the command where no script was installed."""

import sys

from trainshed.cli.main import main

sys.exit(main())
