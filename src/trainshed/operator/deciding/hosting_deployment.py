"""HostingDeployment: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.hosting_deployment import HOSTING_DEPLOYMENT

HOSTING_DEPLOYMENTS: Final = Unoffered(HOSTING_DEPLOYMENT)
