"""What configuration files are made of; the recipes are in `configs/`."""
