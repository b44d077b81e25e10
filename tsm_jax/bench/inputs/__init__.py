"""Training clips of video files, by our input and by the official one."""
