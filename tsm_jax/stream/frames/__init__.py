"""Where frames come from: files, pipes, cameras; and which of them are due."""
