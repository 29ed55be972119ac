"""From records to captions' arrays: images and their sentences."""

from tasks.words.prepare import LOSES, begin, check, classes, convert, extra, layout

__all__ = ["LOSES", "begin", "check", "classes", "convert", "extra", "layout"]
