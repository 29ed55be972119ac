"""Carrying results over a change of code that changes no number: the proof, and the lock file that records it."""
