"""Photographs: read, cut into tiles, filtered, drawn on, shown."""
