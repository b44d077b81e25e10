"""Which clips there are: folders, lists, published datasets."""
