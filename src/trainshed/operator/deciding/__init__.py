"""What is to be done about an object: one pure function for each kind."""
