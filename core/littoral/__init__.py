"""The words that littoral's rooms share. It imports nothing of ours."""

__version__ = "0.1.0"
