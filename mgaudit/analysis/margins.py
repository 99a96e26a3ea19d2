"""The smallest effects that matter, fixed before an audit."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mgaudit.settings.arguments import SMALLEST_AUC_DIFFERENCE, SMALLEST_TPR_CHANGE


@dataclass(frozen=True)
class Margins:
    """The smallest effects that the verdict takes to matter.

    Args:
        smallest_auc_difference: A difference in AUC, in (0, 0.5).
        smallest_tpr_change: A change of the TPR, as a fraction of the plain arm's TPR (of the TPR
            of guessing where there is no plain arm), in (0, 1).
    """

    smallest_auc_difference: float = SMALLEST_AUC_DIFFERENCE.default
    smallest_tpr_change: float = SMALLEST_TPR_CHANGE.default

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Margins":
        """Returns the margins in the settings of a study, with defaults for those not in them."""
        names = (field.name for field in fields(cls))
        return cls(**{name: settings[name] for name in names if name in settings})
