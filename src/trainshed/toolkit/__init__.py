"""Inside the user's container: script mode. Standard library and contract only."""
