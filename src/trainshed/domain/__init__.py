"""What things are and which moves are lawful. Pure values: no I/O, no clock, no async."""
