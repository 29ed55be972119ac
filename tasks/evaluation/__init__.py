"""What an evaluation measures, and its figures."""
