"""What a trained network sees: pure functions that studies, the command line and the page share. Nothing here trains."""

# The kinds of task whose networks and data are looked into.
CLASSIFIERS = "classify"
DETECTION = "detect"
