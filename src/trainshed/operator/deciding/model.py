"""Model: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.model import MODEL

MODELS: Final = Unoffered(MODEL)
