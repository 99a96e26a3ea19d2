"""The record of a search for the settings of an arm's training."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mgaudit.reports.record import Record


class TrialRecord(Record):
    """The settings of one trial, and its accuracy on each fold of the held-out data.

    `sample_rate` is the share of a model's examples in a batch, and `momentum` that of SGD.
    `max_grad_norm`, `views` and `averaging` are settings of DP-SGD alone. A trial whose training
    diverged has an accuracy of 0.
    """

    epochs: Annotated[int, Field(ge=1)]
    sample_rate: Annotated[float, Field(gt=0, le=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    views: Annotated[int, Field(ge=1)] = 1
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    accuracies: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]

    @property
    def accuracy(self) -> float:
        """The mean accuracy over the folds."""
        return sum(self.accuracies) / len(self.accuracies)


class SearchRecord(Record):
    """The trials of a search, and the index of the one that it chose.

    The model of a fold is trained on `trained` of the `held_out` examples, and evaluated on
    `validated` others. The best trials of a fold go on to the next.
    """

    trials: Annotated[list[TrialRecord], Field(min_length=1)]
    chosen: Annotated[int, Field(ge=0)]
    held_out: int
    trained: int
    validated: int

    @model_validator(mode="after")
    def _chosen_is_a_trial(self) -> Self:
        if self.chosen >= len(self.trials):
            raise ValueError(f"chosen must be below {len(self.trials)}, the number of trials")
        return self

    @property
    def best(self) -> TrialRecord:
        """The trial that was chosen."""
        return self.trials[self.chosen]
