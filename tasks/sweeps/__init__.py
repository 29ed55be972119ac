"""A sweep's trials, where they run, and its figures."""
