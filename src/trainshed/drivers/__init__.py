"""Where a node comes from."""
