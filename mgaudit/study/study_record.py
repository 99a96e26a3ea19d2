"""The record of a trained study: its settings, data, arms, software and times."""

from collections.abc import Sequence

from mgaudit.reports.findings import Analysis
from mgaudit.reports.record import ChoiceRecord, NamedChoice
from mgaudit.reports.results import AuditResult, DatasetSummary, LostArm, StudyResult, Times
from mgaudit.settings.choices import Choice
from mgaudit.study.design import Design
from mgaudit.study.extras import extras_in
from mgaudit.study.plan import Plan
from mgaudit.study.provenance import provenance
from mgaudit.study.summarise import metric_facts
from mgaudit.study.train import TrainedArm
from mgaudit.study.trained_arm import needs_of, scheme_records


def study_result(
    plan: Plan,
    arms: list[AuditResult],
    lost: Sequence[TrainedArm],
    analysis: Analysis,
    times: Times,
) -> StudyResult:
    """Returns the result of the study.

    Args:
        plan: The plan of the study.
        arms: The results of the arms that could be audited.
        lost: The arms that could not be audited.
        analysis: What was computed from several arms at once.
        times: When the study ran, and for how long.
    """
    settings, design = plan.settings, plan.design
    extras = extras_in(needs_of(settings.attacks))
    return StudyResult(
        settings=settings.as_dict(),
        target=target_record(settings.target),
        queries=queries_record(settings.queries),
        dataset=dataset_summary(settings.dataset, design),
        metric_facts=metric_facts(),
        extras={extra.name: extra.sentence for extra in extras},
        arms=arms,
        lost=[_lost_arm(trained) for trained in lost],
        analysis=analysis,
        provenance=provenance(design.device),
        times=times,
    )


def target_record(target: Choice) -> NamedChoice:
    """Returns the record of a network."""
    label = target.label(title=target.build.__name__)
    return NamedChoice(name=target.name, options=dict(target.options), label=label)


def queries_record(queries: Choice) -> NamedChoice:
    """Returns the record of how models are queried."""
    return NamedChoice(name=queries.name, options=dict(queries.options), label=queries.text)


def dataset_summary(choice: Choice, design: Design) -> DatasetSummary:
    """Returns the record of the data of a design."""
    dataset = design.dataset
    return DatasetSummary(
        name=dataset.name,
        choice=ChoiceRecord(name=choice.name, options=dict(choice.options)),
        sha256=design.sha256,
        examples=len(dataset.labels),
        test_examples=len(dataset.test_labels),
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        notes=design.notes,
        shared_coins=0 if design.groups is None else int(design.groups.has_copies.sum()),
        grouped=0 if design.units is None else int(design.units.has_copies.sum()),
    )


def _lost_arm(trained: TrainedArm) -> LostArm:
    """Returns the record of an arm that could not be audited, because its models diverged."""
    records = scheme_records(trained.arm)
    return LostArm(**records, label=trained.arm.settings.label, diverged=trained.diverged)
