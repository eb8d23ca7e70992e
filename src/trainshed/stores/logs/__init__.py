"""Lines in groups and streams."""
