"""Several studies side by side: every arm in every one of them."""

from collections.abc import Sequence

from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import Cell, Table, number
from mgaudit.reports.tables import headline


def across_studies(studies: Sequence[StudyResult]) -> Table:
    """Returns a row for each target, dataset and arm: accuracy and AUC in each seed, and their mean over seeds.

    The mean's interval has the mean half-widths: that holds at 95 % however the seeds depend on one another, for the
    standard error of a mean is at most the mean of the standard errors.
    """
    seeds = list(dict.fromkeys(int(study.settings["seed"]) for study in studies))
    several = len(seeds) > 1
    found: dict[tuple[str, str], dict[int, AuditResult]] = {}
    for study in studies:
        for arm in study.arms:
            found.setdefault((study.name, arm.key), {})[int(study.settings["seed"])] = arm
    rows = []
    for (name, _), by_seed in found.items():
        arms = list(by_seed.values())
        rows.append(
            [
                Cell(name),
                Cell(arms[0].label),
                number(_mean([arm.test_accuracy for arm in arms]), 100, 1),
                number(_mean([headline(arm).metrics["auc"] for arm in arms])),
                *(
                    (number(headline(by_seed[seed]).metrics["auc"]) if seed in by_seed else Cell("–") for seed in seeds)
                    if several
                    else ()
                ),
            ]
        )
    attacks = list(dict.fromkeys(headline(study.arms[0]).attack for study in studies))
    notes = [f"AUC of the attack {' or '.join(attacks)}, the first of each study, mounted by an adaptive adversary."]
    if several:
        notes.append(
            "Over seeds: the mean, with the mean half-width of the seeds' intervals, which is no narrower than a 95 % "
            "interval of the mean however the seeds depend on one another."
        )
    columns = ["Study", "Arm", "Test acc., %", "AUC", *([f"seed {seed}" for seed in seeds] if several else [])]
    return Table("across-studies", "All arms of all studies", columns, rows, notes)


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    count = len(estimates)
    return Estimate(
        value=sum(one.value for one in estimates) / count,
        low=sum(one.low for one in estimates) / count,
        high=sum(one.high for one in estimates) / count,
    )
