"""What an evaluation of a codec measures and writes."""
