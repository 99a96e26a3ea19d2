"""What an audit returns in Python: its numbers, figures, reports and the models' outputs."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mgaudit.argument_names import checked_names
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.panels import Panels
from mgaudit.progress_bars import on_stderr
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.canaries import CanaryAttack
from mgaudit.reports.metric_names import tpr_name
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.results import Result as ResultRecord
from mgaudit.reports.verdict import verdict
from mgaudit.settings.named_code import code_of_file, name_code
from mgaudit.storage.atomic import write_atomically
from mgaudit.storage.read_run import read_run
from mgaudit.targets.home import with_home

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mgaudit.attacks import Attack, Observations
    from mgaudit.conditions import Outcome
    from mgaudit.reports.document import AuditDocument
    from mgaudit.reports.figures.drawing import Drawing
    from mgaudit.targets.querying.queries import Queries

COLUMNS = ("study", "arm", "attack", "adversary", "metric", "value", "low", "high")
SUFFIXES = {".html": "html", ".pdf": "pdf", ".csv": "csv"}


class Result:
    """The result of `mgaudit.run` or `mgaudit.compare`, or of a run that was loaded.

    `record` holds every number as `result.json` does, `arrays` one dict of numpy arrays for each
    study, and `path` the run directory. In a notebook the result shows its tables.
    """

    def __init__(self, record: ResultRecord, arrays: Sequence[Arrays], path: Path) -> None:
        self.record = record
        self.arrays = list(arrays)
        self.path = path

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Returns the result in a run directory. Raises UsageError where there is none."""
        return cls(*read_run(path), path)

    def __repr__(self) -> str:
        studies = ", ".join(study.name for study in self.record.studies)
        arms = sum(len(study.arms) for study in self.record.studies)
        return f"<mgaudit.Result: {studies}; {arms} arms; {self.path}>"

    @property
    def verdict(self) -> str:
        """The sentences that answer the question of each study, one line each."""
        return "\n".join(sentence for study in self.record.studies for sentence in verdict(study))

    def to_frame(self) -> "pd.DataFrame":
        """Returns the numbers as a tidy table with one row for each number.

        Columns: `study` (counted from 1), `arm` (the text of the scheme), `attack`, `adversary`
        ("adaptive" or "naive"), `metric`, `value`, and the 95 % confidence interval `low`, `high`.
        Accuracies and rates are fractions. For accuracies, `attack` and `adversary` are "". A lower
        bound on ε has no interval: `low` and `high` are NaN. `alarm_bound` is the one that is
        compared with the claim. The metrics of the first attack on canaries alone, and on all other
        examples, begin with `canaries_` and `others_`.
        """
        import pandas as pd

        rows = []
        for number, study in enumerate(self.record.studies, start=1):
            for arm in study.arms:
                rows += [(number, arm.key, *values) for values in _numbers(arm)]
        return pd.DataFrame(rows, columns=COLUMNS)

    @checked_names()
    def failures(self, *conditions: str, unless: Sequence[str] = ()) -> "list[Outcome]":
        """Returns what meets one of the conditions, such as "auc>0.55", as with `--fail-if`.

        The list also has what does not meet a condition in `unless`, such as "auc<0.55", as with
        `--fail-unless`: the interval must prove these.

        A condition with ">" is met where the lower limit of the 95 % interval is larger, one with
        "<" where the upper limit is smaller. It is about the first attack on every arm but the one
        without noise, or about the arm or attack before it, as in "none:auc>0.8" or
        "none/lira:auc>0.8". A condition that cannot be checked is among the failures. `str()` of a
        failure is one line. Raises UsageError for a text that is no condition.
        """
        from mgaudit.conditions import failures, parse_condition

        if isinstance(unless, str):
            unless = [unless]
        parsed = [parse_condition(text) for text in conditions]
        return failures(self.record, parsed + [parse_condition(text, True) for text in unless])

    def figures(self) -> list[str]:
        """Returns the names of the figures that `plot` can draw."""
        return list(self._drawings)

    def plot(self, name: str) -> "list[Axes]":
        """Returns the matplotlib axes of a figure of the report, one for each panel.

        A notebook shows the figure, and `axes[0].figure.savefig(path)` writes it. Raises UsageError
        that lists the figures for a name that is none.
        """
        if name not in self._drawings:
            rule = f"must be one of {', '.join(self._drawings)}"
            raise UsageError("name", rule, repr(name), did_you_mean(name, self._drawings))
        return Panels(self._drawings[name].figure)

    def save(self, path: str | Path) -> Path:
        """Writes a report, in the format that the suffix names, and returns its path.

        The formats are .html, .pdf, .csv (every number) and .json (`result.json`). Raises
        UsageError for another suffix.
        """
        if not isinstance(path, str | Path):
            rule = "must be the path of a file"
            raise UsageError("path", rule, f"{type(path).__name__}: {path!r}")
        path = with_home(path, "path")
        suffix = path.suffix.lower()
        if suffix == ".json":
            content = (self.record.model_dump_json(indent=2) + "\n").encode()
        elif suffix in SUFFIXES:
            content = self._rendered(SUFFIXES[suffix])
        else:
            known = ", ".join([*SUFFIXES, ".json"])
            raise UsageError("path", f"must end with one of {known}", repr(str(path)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        return path

    @checked_names()
    def attack(
        self,
        *attacks: "str | Attack",
        queries: "str | Queries | None" = None,
        allow_code: bool = False,
        jobs: int | None = None,
        quiet: bool = False,
    ) -> "Result":
        """Attacks the models of this run with one or several other attacks, without training.

        `queries` None keeps the queries of this run. `allow_code` allows own code that only the run
        names, such as a network.

        The models must still be in the cache. Returns a new result, which has a run directory of
        its own beside this one. Raises UsageError where models are missing.
        """
        from mgaudit.running import attack_again

        name_code({"attack": attacks})
        progress = on_stderr(quiet)
        with code_of_file(f"the run {self.path}", allow_code):
            finished = attack_again(self.record, self.path.parent, attacks, queries, jobs, progress)
        return Result(finished.record, finished.arrays, finished.folder.path)

    def observations(
        self, arm: str | int = 0, study: int = 0, *, allow_code: bool = False
    ) -> "Observations":
        """Returns the outputs of an arm's models and their membership, for an attack of your own.

        `arm` is the key or the index of the arm and `study` the index of the study. `allow_code`
        allows own code that only the run names, such as a network. The models must still be in the
        cache. Raises UsageError where they are not, or there is no such arm.
        """
        from mgaudit.study.finished import observations_of_arm

        chosen = self._study(study)
        with code_of_file(f"the run {self.path}", allow_code):
            return observations_of_arm(chosen, _arm(chosen, arm))

    def _study(self, index: int) -> StudyResult:
        studies = self.record.studies
        if not 0 <= index < len(studies):
            raise UsageError("study", f"must be 0..{len(studies) - 1}", repr(index))
        return studies[index]

    @cached_property
    def _document(self) -> "AuditDocument":
        from mgaudit.analysis.smallest_leaks import with_smallest_leaks
        from mgaudit.reports.document import document

        return document(with_smallest_leaks(self.record, self.arrays), self.arrays)

    @cached_property
    def _drawings(self) -> "dict[str, Drawing]":
        from mgaudit.reports.figures.drawing import Drawing

        several = len(self._document.chapters) > 1
        drawings = {}
        for number, chapter in enumerate(self._document.chapters, start=1):
            for section in chapter.all_sections:
                for block in section.blocks:
                    if isinstance(block, Drawing):
                        name = f"{number}/{block.name}" if several else block.name
                        drawings[name] = block
        return drawings

    def _rendered(self, name: str) -> bytes:
        from mgaudit.reports.formats.render import FORMATS

        content = FORMATS[name].render(self._document)
        assert isinstance(content, bytes)  # a format with a suffix is one file
        return content

    def _repr_html_(self) -> str:
        from mgaudit.reports.formats.notebook import show

        html: str = show(self.record).html
        return html


def _arm(study: StudyResult, name: str | int) -> AuditResult:
    keys = [arm.key for arm in study.arms]
    if isinstance(name, str):
        if name not in keys:
            raise UsageError(
                "arm", f"must be one of {', '.join(keys)}", repr(name), did_you_mean(name, keys)
            )
        return study.arms[keys.index(name)]
    if not 0 <= name < len(keys):
        raise UsageError("arm", f"must be 0..{len(keys) - 1}, or a name", repr(name))
    return study.arms[name]


def _numbers(arm: AuditResult) -> Iterator[tuple[str, str, str, float, float, float]]:
    """Yields (attack, adversary, metric, value, low, high) of an arm."""
    nan = float("nan")
    for metric, accuracy in (
        ("train_accuracy", arm.train_accuracy),
        ("accuracy", arm.accuracy),
    ):
        if accuracy is not None:
            yield "", "", metric, accuracy.value, accuracy.low, accuracy.high
    for attack in arm.attacks:
        who = (attack.attack, attack.adversary)
        for metric, estimate in attack.metrics.items():
            yield *who, metric, estimate.value, estimate.low, estimate.high
        if attack.epsilon_lower_bound is not None:
            yield *who, "epsilon_lower_bound", attack.epsilon_lower_bound, nan, nan
        if attack.alarm_bound is not None:
            yield *who, "alarm_bound", attack.alarm_bound.epsilon, nan, nan
    if arm.canaries is not None:
        yield from _canary_numbers(arm.canaries, arm.attacks[0].adversary)


def _canary_numbers(
    found: CanaryAttack, adversary: str
) -> Iterator[tuple[str, str, str, float, float, float]]:
    """Yields (attack, adversary, metric, value, low, high) for canaries and for all others."""
    for group, numbers in (("canaries", found.canaries), ("others", found.others)):
        estimates = {"auc": numbers.auc}
        if found.level is not None:
            estimates[tpr_name(found.level)] = numbers.tpr
        for metric, estimate in estimates.items():
            if estimate is not None:
                interval = (estimate.value, estimate.low, estimate.high)
                yield found.attack, adversary, f"{group}_{metric}", *interval
