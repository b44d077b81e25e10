"""Records -> batches on the device."""
