"""The steps of the pipeline as plain, typed functions, each with a command line: `python -m tasks.<step> --help`."""
