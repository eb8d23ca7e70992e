"""EndpointConfig: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.endpoint_config import ENDPOINT_CONFIG

ENDPOINT_CONFIGS: Final = Unoffered(ENDPOINT_CONFIG)
