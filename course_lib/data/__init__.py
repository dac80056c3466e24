"""Data that ships with the course: generated scenes, seen-and-heard digits, photographs, and the catalogue of files."""
