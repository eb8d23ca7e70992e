"""AWS protocols from the service model: bytes <-> operation + dict. Knows no operation by name."""
