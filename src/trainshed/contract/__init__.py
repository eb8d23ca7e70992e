"""The law inside the container: paths, file formats, environment, signals, exit codes."""
