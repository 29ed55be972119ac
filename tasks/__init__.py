"""The steps of the pipeline as plain, typed functions, each with a command line: `python -m tasks.<step> --help`.

A file here is a step. What steps are made of stands in the folders.
"""
