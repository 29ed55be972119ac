"""What a trained network sees: pure functions that studies, the command line and the page share. Nothing here trains."""
