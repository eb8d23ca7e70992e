"""The only place that builds and wires: settings, clock, build, serve."""
