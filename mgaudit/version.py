"""The version of mgaudit."""

__version__ = "0.1.0"
