"""COAIA Arena: blind battles between language models, human votes, live ratings, preference data."""

__version__ = "0.1.0"
