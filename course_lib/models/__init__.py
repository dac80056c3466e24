"""Models small enough to read: one idea per file."""
