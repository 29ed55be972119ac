"""The one exception that is shown to a user as a sentence."""


class Error(Exception):
    """Something that the user can put right: shown without a traceback, and saying what to do."""
