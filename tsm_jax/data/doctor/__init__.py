"""Examines a dataset before it is trained on."""
