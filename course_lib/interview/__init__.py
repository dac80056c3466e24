"""Interview practice: the question bank and how it is shown."""
