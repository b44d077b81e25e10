"""A trained model leaves: a file for another runtime, and what tells of it."""
