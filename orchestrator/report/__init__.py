"""Tables of results, read from the store alone."""
