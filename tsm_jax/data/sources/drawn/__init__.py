"""Videos that are drawn on the spot, for the quickstarts."""
