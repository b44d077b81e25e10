"""The life of a run: checkpoints, identity, processes, how it ends."""
