"""Objects wherever they are, as agents read and write them."""
