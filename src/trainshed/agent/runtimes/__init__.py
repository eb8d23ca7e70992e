"""How the container is started on a node."""
