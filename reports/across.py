"""Several studies side by side: every arm of every study."""

from collections.abc import Sequence

from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult, accuracies_known
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import headline

OVER_SEEDS = (
    "Accuracy and AUC are means over seeds. The half-width of their interval is the mean "
    "half-width of the seeds' intervals. This interval covers the mean at 95 % or more, under any "
    "dependence between the seeds."
)


def across_studies(studies: Sequence[StudyResult]) -> Table:
    """Returns a row for each network, dataset and arm: accuracy and AUC by seed and their means.

    The name of a study contains its network and dataset. The half-width of the mean's interval is
    the mean of the half-widths of the seeds' intervals. This interval covers with at least 95 %
    also where the results of the seeds are correlated, because the standard error of a mean is at
    most the mean of the standard errors.
    """
    seeds = list(dict.fromkeys(_seed(study) for study in studies))
    shown_seeds = seeds if len(seeds) > 1 else []
    groups: dict[tuple[str, str], dict[int, AuditResult]] = {}
    for study in studies:
        for arm in study.arms:
            group = groups.setdefault((study.name, arm.key), {})
            group[_seed(study)] = arm
    rows = [_row(name, by_seed, shown_seeds) for (name, _), by_seed in groups.items()]
    attacks = dict.fromkeys(headline(study.arms[0]).attack for study in studies)
    names = " or ".join(attacks)
    notes = [f"The AUC is for the first attack of each study ({names}) by an adaptive adversary."]
    if shown_seeds:
        notes.append(OVER_SEEDS)
    by_seed_columns = [f"seed {seed}" for seed in shown_seeds]
    columns = ["Study", "Arm", "Test acc., %", "AUC", *by_seed_columns]
    return Table("across-studies", "All arms of all studies", columns, rows, notes)


def _seed(study: StudyResult) -> int:
    return int(study.settings["seed"])


def _row(name: str, by_seed: dict[int, AuditResult], seeds: Sequence[int]) -> list[Cell]:
    arms = list(by_seed.values())
    known = accuracies_known(arms)
    accuracy = _mean([arm.known_accuracy for arm in arms]) if known else None
    auc = _mean([headline(arm).metrics["auc"] for arm in arms])
    seed_cells = [_auc_cell(by_seed.get(seed)) for seed in seeds]
    return [Cell(name), Cell(arms[0].label), number(accuracy, 100, 1), number(auc), *seed_cells]


def _auc_cell(arm: AuditResult | None) -> Cell:
    if arm is None:
        return Cell("–")
    return number(headline(arm).metrics["auc"])


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    count = len(estimates)
    value = sum(estimate.value for estimate in estimates)
    low = sum(estimate.low for estimate in estimates)
    high = sum(estimate.high for estimate in estimates)
    return Estimate(value=value / count, low=low / count, high=high / count)
