"""The settings of an audit of training functions."""

from dataclasses import dataclass
from typing import get_args

from mgaudit.errors import UsageError
from mgaudit.outputs.logits import OutputsKind
from mgaudit.settings.arguments import CLIP
from mgaudit.targets.datasets.duplicates import Duplicates


@dataclass(frozen=True)
class FunctionSettings:
    """The settings of an audit of training functions.

    Args:
        models: Number of models of each function.
        seed: Random seed of the test split, the membership and the models.
        test_fraction: Fraction of examples or groups that is held out as test data, where no test
            data are given.
        outputs: What predict returns: "auto", "logits" or "probabilities".
        clip: The least probability that is used as such; smaller ones are replaced by it.
        duplicates: Whether exact copies of an example share one coin ("together") or not ("apart").
    """

    models: int = 16
    seed: int = 0
    test_fraction: float = 0.2
    outputs: OutputsKind = "auto"
    clip: float = CLIP.default
    duplicates: Duplicates = "together"

    def __post_init__(self) -> None:
        kinds = get_args(OutputsKind)
        if self.outputs not in kinds:
            rule = f"must be one of {', '.join(kinds)}"
            raise UsageError("outputs", rule, repr(self.outputs))
        if self.duplicates not in get_args(Duplicates):
            rule = f"must be one of {', '.join(get_args(Duplicates))}"
            raise UsageError("duplicates", rule, repr(self.duplicates))
        if not 0 < self.clip < 0.5:
            raise UsageError("clip", "must be a probability > 0 and < 0.5", str(self.clip))
        if not 0 < self.test_fraction < 1:
            rule = "must be a fraction > 0 and < 1"
            raise UsageError("test_fraction", rule, str(self.test_fraction))
