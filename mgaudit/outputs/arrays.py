"""Checks and conversion of the arrays that users pass.

Every function takes the name of the argument, and raises a UsageError that names the first wrong
model, example and value.
"""

from mgaudit.outputs.labels import as_labels
from mgaudit.outputs.logits import as_logits, confidence_logits
from mgaudit.outputs.membership import as_membership
from mgaudit.targets.arrays.finite import as_numbers

__all__ = ["as_labels", "as_logits", "as_membership", "as_numbers", "confidence_logits"]
