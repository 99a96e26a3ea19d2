"""What a search for the settings of DP-SGD returns in Python."""

from typing import TYPE_CHECKING, Any

from mgaudit.reports.search_record import SearchRecord
from mgaudit.reports.search_tables import NOT_PAID, held_out_sentence, search_table
from mgaudit.reports.table import table_html

if TYPE_CHECKING:
    import pandas as pd

    from mgaudit.study.plan import Plan


class TuningResult:
    """The result of `mgaudit.tune_dp`.

    `settings` are the chosen settings by name, for the models of an audit, and `scheme` is DP-SGD
    with them as a text, which `run` and `compare` take. `record` has all trials.
    """

    def __init__(self, record: SearchRecord, settings: dict[str, Any], scheme: str) -> None:
        self.record = record
        self.settings = settings
        self.scheme = scheme

    @classmethod
    def of(cls, plan: "Plan") -> "TuningResult":
        """Returns the search of a study whose only arm is DP-SGD."""
        from mgaudit.settings.choices import Entry
        from mgaudit.settings.schemes import SchemeChoice

        (arm,) = plan.arms
        training, privacy = arm.recipe.training, arm.recipe.plan
        assert arm.search is not None
        assert privacy is not None
        settings = {
            "epochs": training.epochs,
            "batch_size": training.batch_size,
            "learning_rate": training.rate(private=True),
            "momentum": training.momentum,
            "max_grad_norm": privacy.max_grad_norm,
            "views": privacy.views,
            "averaging": privacy.averaging,
        }
        (part,) = arm.settings.scheme.parts
        complete = Entry(part.name, part.build).chosen({**part.options, **settings})
        return cls(arm.search, settings, SchemeChoice.of([complete]).text)

    def __repr__(self) -> str:
        return (
            f"<mgaudit.TuningResult: {self.scheme}; {100 * self.accuracy:.1f} % on held-out data, "
            f"chosen from {len(self.record.trials)} trials. {NOT_PAID}>"
        )

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the chosen trial on held-out data, by which it was selected."""
        return self.record.best.accuracy

    def to_frame(self) -> "pd.DataFrame":
        """Returns a row for each trial: its settings, its folds, its mean accuracy, if chosen.

        `sample_rate` is the share of a model's training examples in a batch.
        """
        import pandas as pd

        rows = []
        for number, trial in enumerate(self.record.trials):
            row: dict[str, Any] = {"trial": number, **trial.model_dump(exclude={"accuracies"})}
            row["folds"] = len(trial.accuracies)
            row["accuracy"] = trial.accuracy
            row["chosen"] = number == self.record.chosen
            rows.append(row)
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        table = search_table(self.record, True, "search", f"Trials for {self.scheme}")
        return f"<p>{held_out_sentence(self.record)} {NOT_PAID}</p>{table_html(table)}"
