"""Scores over time become events: a label with its start and its end."""
