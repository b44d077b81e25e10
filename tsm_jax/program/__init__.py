"""What a configuration means on a mesh."""
