"""What the channels of a request are: objects, their order, modes, and folders that are mounted."""
