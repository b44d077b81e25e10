"""Where the frames of a stream come from, and which of them it is shown."""
