"""Files that a container writes: found and opened without trusting it."""
