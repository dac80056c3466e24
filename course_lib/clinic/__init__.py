"""The clinic: broken programs to repair, and loss curves to diagnose. Start with `desk.symptom`."""
