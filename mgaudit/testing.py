"""The contracts of attacks and schemes, for those of the user's own: what every one that is built in keeps."""

from mgaudit.targets.scheme_contract import check_scheme

__all__ = ["check_scheme"]
