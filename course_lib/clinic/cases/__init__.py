"""One module a case: its hidden tests, its repair, and the wrong repairs that must each be caught."""
