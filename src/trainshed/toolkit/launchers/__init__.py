"""How the processes of a job are started: one a host, by mpirun, or by torchrun."""
