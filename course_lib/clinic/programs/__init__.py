"""The patients: small plausible programs, each with one defect. They run in a process of their own."""
