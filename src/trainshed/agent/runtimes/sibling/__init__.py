"""Watches a container that the kubelet runs beside the agent, in the same pod."""
