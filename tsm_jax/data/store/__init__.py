"""Records <-> disk: TFDS datasets of array_record files."""
