"""From a publisher's files to prepared arrays."""
