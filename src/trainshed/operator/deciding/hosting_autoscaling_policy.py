"""HostingAutoscalingPolicy: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.hosting_autoscaling_policy import HOSTING_AUTOSCALING_POLICY

HOSTING_AUTOSCALING_POLICIES: Final = Unoffered(HOSTING_AUTOSCALING_POLICY)
