"""Figures of merit, by what is predicted; each states its chance value and its best value."""
