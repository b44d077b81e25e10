"""What a run keeps, and how it stays alive."""
