"""Training: the loop, what it draws and steps with, weights, and the record of runs."""
