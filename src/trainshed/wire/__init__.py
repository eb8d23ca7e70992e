"""AWS protocols from the service model: bytes <-> operation and dict. Knows no operation by name."""
