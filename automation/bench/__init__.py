"""How fast the product is, and against what: `fed bench`."""
