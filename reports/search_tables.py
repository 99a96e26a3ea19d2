"""The section on the searches for settings of training, and their lines for a terminal."""

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.search_record import SearchRecord, TrialRecord
from mgaudit.reports.section import Block, Section, Words
from mgaudit.reports.table import Cell, Table

CHOSEN = "*"  # the mark of the trial that a search chose
NOT_PAID = (
    "The choice depends on these data, and ε does not account for it: this is a cost that the "
    "claim leaves out."
)
OTHERS = (
    "There was no search for the other arms, which have the settings of the study; with --tune all "
    "there is one for each arm."
)


def search_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section with a table for each arm whose settings were searched; None if none."""
    blocks: list[Block] = []
    for number, arm in enumerate(study.arms, start=1):
        if arm.search is None:
            continue
        if not blocks:
            blocks.append(Words([held_out_sentence(arm.search)]))
        key, caption = f"search-{number}", f"Trials for {arm.label}"
        blocks.append(search_table(arm.search, arm.claim is not None, key, caption))
    if not blocks:
        return None
    if any(arm.search is not None and arm.claim is not None for arm in study.arms):
        blocks.insert(1, Words([NOT_PAID]))
    if any(arm.search is None and arm.claim is None for arm in study.arms):
        blocks.insert(1, Words([OTHERS]))
    return Section.of("Search for the settings", *blocks)


def held_out_sentence(search: SearchRecord) -> str:
    """Returns on which data the trials were compared.

    >>> trial = TrialRecord(epochs=1, sample_rate=0.1, learning_rate=1, accuracies=[0.5])
    >>> held_out_sentence(
    ...     SearchRecord(trials=[trial], chosen=0, held_out=100, trained=75, validated=25)
    ... )[:72]
    'The settings were searched on 100 examples that are held out and not aud'
    """
    return (
        f"The settings were searched on {search.held_out:,} examples that are held out and not "
        f"audited: each model is trained on {search.trained:,} of them and evaluated on "
        f"{search.validated:,} others."
    )


def search_table(search: SearchRecord, private: bool, key: str, caption: str) -> Table:
    """Returns the trials, those that lasted longest first, and of these the most accurate.

    `private` adds the settings of DP-SGD.
    """
    columns = ["Trial", "Epochs", "Batch, % of members", "Learning rate"]
    if private:
        columns += ["Momentum", "Clip norm", "Views", "Averaging"]
    columns += ["Folds", "Accuracy, %"]
    numbered = list(enumerate(search.trials))
    numbered.sort(key=lambda pair: (-len(pair[1].accuracies), -pair[1].accuracy, pair[0]))
    # The chosen trial is first, also among equally accurate ones.
    numbered.sort(key=lambda pair: pair[0] != search.chosen)
    rows = [_row(number, trial, number == search.chosen, private) for number, trial in numbered]
    notes = [
        f"{CHOSEN} The chosen trial. Trial 0 has the settings that are used without a search. "
        "Folds is the number of trainings on different held-out examples; only the best trials of "
        "a fold go on to the next. Accuracy is the mean over the folds, 0 for a training that "
        "diverged. The accuracy of the chosen trial is too high as an estimate, because the trial "
        "was selected by it."
    ]
    return Table(key, caption, columns, rows, notes)


def _row(number: int, trial: TrialRecord, is_chosen: bool, private: bool) -> list[Cell]:
    cells = [
        Cell(str(number), mark=CHOSEN if is_chosen else "", value=number),
        Cell(str(trial.epochs), value=trial.epochs),
        Cell(f"{100 * trial.sample_rate:.3g}", value=100 * trial.sample_rate),
        Cell(f"{trial.learning_rate:g}", value=trial.learning_rate),
    ]
    if private:
        cells += [
            Cell(f"{trial.momentum:g}", value=trial.momentum),
            Cell(f"{trial.max_grad_norm:g}", value=trial.max_grad_norm),
            Cell(str(trial.views), value=trial.views),
            Cell(f"{trial.averaging:g}", value=trial.averaging),
        ]
    folds, accuracy = len(trial.accuracies), 100 * trial.accuracy
    return [*cells, Cell(str(folds), value=folds), Cell(f"{accuracy:.1f}", value=accuracy)]


def settings_text(trial: TrialRecord, private: bool) -> str:
    """Returns the settings of a trial in words.

    >>> trial = TrialRecord(epochs=2, sample_rate=0.125, learning_rate=0.5, accuracies=[0.5])
    >>> settings_text(trial, private=False)
    '2 epochs, batches of 12.5 % of the members, learning rate 0.5'
    """
    words = [
        f"{trial.epochs} epoch{'s' * (trial.epochs != 1)}",
        f"batches of {100 * trial.sample_rate:.3g} % of the members",
        f"learning rate {trial.learning_rate:g}",
    ]
    if private:
        words.append(f"momentum {trial.momentum:g}")
        words.append(f"clip norm {trial.max_grad_norm:g}")
        if trial.views > 1:
            words.append(f"{trial.views} views")
        if trial.averaging:
            words.append(f"averaging {trial.averaging:g}")
    return ", ".join(words)


def search_lines(study: StudyResult) -> list[str]:
    """Returns a line for each arm whose settings were searched."""
    return [_line(arm, arm.search) for arm in study.arms if arm.search is not None]


def _line(arm: AuditResult, search: SearchRecord) -> str:
    private = arm.claim is not None
    trials, best = len(search.trials), search.best
    tried = "1 trial" if trials == 1 else f"the best of {trials} trials"
    line = (
        f"{arm.label}: {settings_text(best, private)}, {tried} on {search.held_out:,} held-out "
        f"examples ({100 * best.accuracy:.1f} %)"
    )
    return f"{line}; ε does not account for the search" if private else line
