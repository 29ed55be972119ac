"""The seven emotions of FER-2013, in the order of its labels."""

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
