"""Hands channels to a container while it runs: Pipe and FastFile."""
