"""Training: choose a device, fit a model, look at its history."""
