"""One file or folder of images <-> one record."""
