"""TrainingJob: what is to be done about one, from its manifest to its end."""
