"""The range that a scheme's parameter must lie in."""

from mgaudit.targets.ranges import Range, range_in

__all__ = ["Range", "range_in"]
