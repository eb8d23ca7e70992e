"""The stages of a node's life, one file each."""
