"""What a run and a model look like to people."""
