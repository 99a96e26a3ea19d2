"""The version of mgaudit."""

__version__ = "0.2.0"
