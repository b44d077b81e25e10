"""How time and memory grow with clips, networks, devices and processes."""
