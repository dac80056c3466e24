"""Interview arithmetic: formulas with their sources, families of random problems, and a reader of typed answers."""
