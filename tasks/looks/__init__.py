"""Looking inside with a photograph of one's own, a file a study: what `python -m tasks.look` and the demo page do."""
