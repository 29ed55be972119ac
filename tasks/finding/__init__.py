"""Searching photographs by words or by another photograph: what `tasks.find` is made of."""
