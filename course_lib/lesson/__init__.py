"""What makes a notebook a lesson: claims, exercises and their checks, explorers, the list of lessons."""
