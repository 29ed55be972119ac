"""Files of the learned codec: tables and the entropy coder, a network's integers, the file's format."""
