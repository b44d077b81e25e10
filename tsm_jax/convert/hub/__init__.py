"""Weights by name: files of the Hugging Face hub, fetched and verified."""
