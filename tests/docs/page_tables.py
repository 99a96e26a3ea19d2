"""Which printed table of a benchmark or a slow test stands where on the pages.

`benchmarks/record_tables.py` records the tables.
"""

from collections.abc import Callable, Iterator

from tests.docs.figures import Sentence, Tied, sentence
from tests.docs.pages import DOCS
from tests.docs.recorded_tables import (
    Cell,
    Extreme,
    FixedTable,
    Form,
    Joined,
    RecordedTable,
    Sum,
    pick,
)

VALIDATION, PERFORMANCE = DOCS / "validation.md", DOCS / "performance.md"
RELIABILITY, CLUSTER = DOCS / "reliability.md", DOCS / "howto" / "cluster.md"
RESULTS = DOCS / "results.md"

TARGETS = ("4", "8", "16")
SMALL_TO_LARGE = ("400", "2,000", "4,000")


def same(*columns: str) -> dict[str, str | Joined]:
    """Returns columns of a page that have the names of those of the file."""
    return {column: column for column in columns}


def covered(**by: str) -> Joined:
    return pick("covered", **by)


def on_coverage() -> Iterator[RecordedTable]:
    """Yields the tables of the coverage of intervals in simulated audits."""
    file = ("coverage",)
    of_examples = {"200 examples": "200", "1,000": "1,000", "5,000": "5,000"}
    yield RecordedTable(
        VALIDATION,
        file,
        {
            "scores": "scenario",
            "AUC": "truth",
            **{name: covered(examples=examples) for name, examples in of_examples.items()},
        },
        where={"estimand": "AUC", "targets": "1"},
    )
    of_targets = {targets: covered(targets=targets) for targets in TARGETS}
    yield RecordedTable(
        VALIDATION,
        file,
        {"scenario": "scenario", "AUC": "truth", **of_targets},
        where={"estimand": "AUC", "targets": TARGETS},
    )
    yield RecordedTable(
        VALIDATION,
        file,
        {
            **same("scenario", "examples"),
            "covered is the": "estimand",
            "truth": "truth",
            **of_targets,
        },
        where={"estimand": ("expected TPR", "population TPR"), "targets": TARGETS},
    )
    yield RecordedTable(
        VALIDATION,
        file,
        {
            "scenario": "scenario",
            "covered is the": "estimand",
            "truth": "truth",
            **{examples: covered(examples=examples) for examples in reversed(SMALL_TO_LARGE)},
        },
        where={"estimand": ("TPR of the threshold", "population TPR"), "targets": "1"},
    )
    own = ("scenario", "examples", "targets", "estimand", "truth")
    yield RecordedTable(
        VALIDATION,
        file,
        same(*own, "covered", "too high", "too low", "mean width"),
        where={"estimand": "difference in AUC"},
    )


EFFECTS = ("AUC", "difference in AUC", "TPR", "difference in TPR")


def on_power() -> Iterator[RecordedTable]:
    """Yields the tables of the smallest detectable effects and of the smallest leaks."""
    yield RecordedTable(
        VALIDATION,
        ("detectable",),
        same(
            *("targets", "examples", "level", "AUC", "TPR"),
            *("difference in AUC", "difference in TPR", "AUC, exposed", "TPR, exposed"),
        ),
    )
    yield RecordedTable(
        VALIDATION, ("detectable-shadows",), same("attack", "targets", "level", *EFFECTS)
    )
    yield RecordedTable(
        VALIDATION, ("smallest-leaks",), same("attack", "targets", "power, AUC", "power, TPR")
    )
    yield RecordedTable(
        VALIDATION,
        ("planned-half-widths",),
        same(
            *("audit", "c, AUC", "c, difference in AUC", "u, AUC"),
            *("AUC", "TPR", "difference in AUC", "difference in TPR"),
        ),
    )


WITH_SHADOWS = ("interval-coverage", "interval-coverage-stacked")


def on_interval_coverage() -> Iterator[RecordedTable | Sentence]:
    """Yields the table of intervals of targets that are each other's shadow models."""
    columns: dict[str, str | Joined] = dict(same("law", "attack", "of"))
    for metric, title in (("auc", "AUC"), ("tpr@0.01", "TPR")):
        for models in TARGETS:
            where = {"models": models, "metric": metric}
            cells = Joined("{} ({})", ((where, "covered, %"), (where, "relative width")))
            columns[f"{title}: {models}"] = cells
    yield RecordedTable(VALIDATION, WITH_SHADOWS, columns)
    widths = {"models": "4", "metric": "tpr@0.01"}
    yield sentence(
        VALIDATION,
        "The lowest share is {} %, of the stacked attack with 200 audits. The intervals of the TPR "
        "cover too often: with 4 models, they are {} to {} times too wide.",
        Extreme(min, WITH_SHADOWS, ("covered, %",)),
        *(
            Extreme(choose, WITH_SHADOWS, ("relative width",), (widths,), "{:.1f}")
            for choose in (min, max)
        ),
    )
    differ = {"attack": "lira", "metric": "auc", "of": "plain arm"}
    yield sentence(
        VALIDATION,
        "the interval of LiRA's AUC covered the truth in {} % of 500 audits of 8 models.",
        Cell("interval-coverage-differ", differ, "covered, %"),
    )


RULES = ("Split", "Bonferroni", "GDP, Split", "GDP, Bonferroni")
ONE_RUN = ("one run", "one run, f-DP", "one run, f-DP Gaussian")
CURVE = ("μ", "δ", "ε")


def on_bounds() -> Iterator[RecordedTable | Sentence]:
    """Yields the tables of lower bounds on ε."""
    yield RecordedTable(VALIDATION, ("bounds-validity",), same("mechanism", "δ", *RULES, *ONE_RUN))
    yield RecordedTable(
        VALIDATION,
        ("epsilon-validity",),
        same(
            *("mechanism", "attack", "δ", "combination", "true ε", "mean bound"),
            "above the truth, %",
        ),
    )
    yield sentence(
        VALIDATION,
        "above the true ε too often, in up to {} % of the audits.",
        Extreme(max, ("epsilon-validity",), ("above the truth, %",), form="{:.0f}"),
    )
    yield RecordedTable(VALIDATION, ("bounds-tightness",), same(*CURVE, *RULES, *ONE_RUN))
    yield RecordedTable(VALIDATION, ("bounds-limits",), same(*CURVE, "known threshold", *ONE_RUN))
    yield RecordedTable(VALIDATION, ("bounds-guesses",), same(*CURVE, *ONE_RUN))


WRONG = {
    "protects, %": "protects, %",
    "exposes more, %": "exposes more, %",
    "no difference, %": "no difference that matters, %",
    "nothing to protect, %": "nothing to protect, %",
}
WRONG_ALONE = ("leaks, %", "no leak that matters, %")
OUTCOMES = {
    "no difference": "no difference that matters",
    "protects, uncertain": "protects, by an uncertain amount",
    "protects": "protects",
    "undecided": "undecided",
}
STUDIES = {
    "LiRA, 8": {"law": "normal", "attack": "LiRA", "models": "8"},
    "RMIA, 8": {"law": "normal", "attack": "RMIA", "models": "8"},
    "LiRA, 16": {"law": "normal", "attack": "LiRA", "models": "16"},
    "RMIA, 16": {"law": "normal", "attack": "RMIA", "models": "16"},
    "LiRA, 8, models differ": {"law": "models differ", "attack": "LiRA", "models": "8"},
}


def joined(columns: dict[str, dict[str, str]], shown: tuple[str, ...]) -> dict[str, Joined]:
    """Returns columns of a page whose cells join several columns of a file."""
    form = " / ".join(["{}"] * len(shown))
    return {
        name: Joined(form, tuple((where, column) for column in shown))
        for name, where in columns.items()
    }


def on_verdicts() -> Iterator[RecordedTable | Sentence]:
    """Yields the tables of wrong verdicts and of their power."""
    of_arms = {
        name: Joined("{} / {}", (({"arms": "1"}, column), ({"arms": "3"}, column)))
        for name, column in WRONG.items()
    }
    yield RecordedTable(VALIDATION, ("verdict-errors",), {**same("truth", "models"), **of_arms})
    yield RecordedTable(
        VALIDATION, ("verdict-errors-alone",), same("arms", "excess", "models", *WRONG_ALONE)
    )
    of_metrics = {
        name: Joined("{} / {}", (({"metric": "AUC"}, column), ({"metric": "TPR"}, column)))
        for name, column in OUTCOMES.items()
    }
    yield RecordedTable(
        VALIDATION, ("verdict-power",), {**same("d, margins", "models"), **of_metrics}
    )
    shadows = "verdict-errors-shadows"
    wrong = tuple(WRONG.values())
    yield RecordedTable(VALIDATION, (shadows,), {"truth": "truth", **joined(STUDIES, wrong)})
    yield RecordedTable(
        VALIDATION,
        (f"{shadows}-alone",),
        {"truth": "truth", **joined(STUDIES, WRONG_ALONE)},
        number=1,
    )
    same_models, other = ({"law": law} for law in ("normal", "models differ"))
    yield sentence(
        VALIDATION,
        "The highest percentage is {} where models do not differ, and {} where they do.",
        *(
            Extreme(max, (shadows, f"{shadows}-alone"), (*wrong, *WRONG_ALONE), (law,))
            for law in (same_models, other)
        ),
    )
    for number, metric in enumerate(("AUC", "TPR")):
        yield RecordedTable(
            VALIDATION,
            ("verdict-power-shadows",),
            {"d, margins": "d, margins", **joined(STUDIES, tuple(OUTCOMES.values()))},
            where={"metric": metric},
            number=number,
        )
    yield sentence(
        VALIDATION,
        "({} % of LiRA and {} % of RMIA with 16 models)",
        *(
            Cell(
                "verdict-power-shadows",
                {"metric": "TPR", "d, margins": "0", **STUDIES[name]},
                OUTCOMES["no difference"],
            )
            for name in ("LiRA, 16", "RMIA, 16")
        ),
    )


FLAGGED = ("FDR", "s.e.", "flagged")
FLAGGED_ROWS = {"targets": ("3", "4", "16")}  # the page leaves out those with 8 targets


def on_risks() -> Iterator[RecordedTable | Sentence]:
    """Yields the tables of the PPV and of flagged records."""
    yield RecordedTable(
        VALIDATION, ("ppv-one-target",), same("scenario", "FPR", "40", "400", "4,000")
    )
    levels = ("FPR 10 %", "1 %", "0.1 %")
    yield RecordedTable(VALIDATION, ("ppv-targets",), same("scenario", "targets", *levels))
    yield sentence(
        VALIDATION,
        "The lowest share is {} %, for a TPR near its bound:",
        Extreme(min, ("ppv-targets",), levels, form="{:.1f}"),
    )
    yield RecordedTable(
        VALIDATION,
        ("flagged",),
        same("law", "targets", "examples", *FLAGGED, "of the oracle's", "not empty"),
        where=FLAGGED_ROWS,
    )
    shadows = "flagged-shadows"
    yield RecordedTable(
        VALIDATION,
        (shadows,),
        same("attack", "gain", "models", *FLAGGED, "oracle's", "not empty"),
    )
    first = {"attack": "LiRA", "gain": "0", "models": "3"}
    elsewhere = (
        {"gain": "0", "models": ("4", "8", "16")},
        {"gain": "0", "attack": ("RMIA", "LossThreshold")},
    )
    yield sentence(
        VALIDATION,
        "With 3 models that memorised nothing, {} % of LiRA's lists are not empty, where it is at "
        "most {} % elsewhere; the FDR is {} %:",
        Extreme(max, (shadows,), ("not empty",), (first,), "{:.0f}"),
        Extreme(max, (shadows,), ("not empty",), elsewhere, "{:.0f}"),
        Extreme(max, (shadows,), ("FDR",), (first,), "{:.1f}"),
    )


def on_speed() -> Iterator[RecordedTable | Sentence]:
    """Yields the table of the speed of attacks, and those of the white-box audit."""
    yield RecordedTable(VALIDATION, ("attack-scoring",), same("measurement", "value"))
    yield RecordedTable(
        VALIDATION,
        ("white-box-tightness",),
        same("claim", "directions", "guesses", "noncentral t", "noise alone"),
    )
    yield sentence(
        VALIDATION,
        "the limit of the noise was wrong in {} (guesses), {} (noncentral t) and {} (noise "
        "alone), and {} raised an alarm;",
        *(
            Cell("white-box-validity", {"wrong": name}, "share of audits")
            for name in ("guesses", "noncentral t", "noise alone", "any alarm")
        ),
    )
    yield sentence(
        VALIDATION,
        "a training takes {} times as long as without the adversary for the CNN, and {} times for "
        "the small MLP,",
        *(
            Cell(
                "white-box-cost",
                {"network": network},
                "time, relative to that without the adversary",
            )
            for network in ("CNN", "MLP 64-256-10")
        ),
    )


def on_performance() -> Iterator[RecordedTable | Sentence]:
    """Yields the tables of the page on performance."""
    loops = {
        "plain loop": "plain loop",
        "plain loop, 2 processes": "plain loop, processes",
        "mgaudit": "mgaudit",
    }
    yield RecordedTable(
        PERFORMANCE,
        ("training",),
        {
            **same("case", "stack"),
            **loops,
            **same(
                *("÷ plain", "aim", "÷ plain, processes", "share of peak", "memory of a worker")
            ),
        },
    )
    for words, case in (
        ("**Images MLP, {} instead of {}.**", "images MLP 3072-512-256-10"),
        ("**Digits CNN, {} instead of {}.**", "digits CNN 32-64, 128"),
    ):
        speed, aim = (Cell("training", {"case": case}, column) for column in ("÷ plain", "aim"))
        yield sentence(PERFORMANCE, words, speed, Form(without_sign, (aim,)))
    yield RecordedTable(
        PERFORMANCE,
        ("training-dp",),
        same(
            *("DP-SGD", "batch", "plain step, ms", "private step, ms", "÷ plain", "aim"),
            *("by Opacus, ms", "Opacus ÷"),
        ),
    )
    yield RecordedTable(
        PERFORMANCE,
        ("private-step",),
        {
            **same("network", "batch"),
            "plain step of 0.1, ms": "other's plain step, ms",
            "private step, ms": "private step, ms",
            "in a stack, ms": "private step in a stack of 8, ms",
            "noise, ms": "noise, ms",
            "÷ plain of 0.1": "private ÷ other's plain",
            **same("floor", "aim"),
            "alone ÷ in a stack": "alone ÷ stacked",
        },
    )
    yield RecordedTable(
        PERFORMANCE,
        ("whole-audit",),
        {
            **same("audit", "cache", "this, s"),
            "version 0.1, s": "other, s",
            **same("ratio", "aim"),
        },
    )
    yield sentence(
        PERFORMANCE,
        "measured\na peak of {}, and of {} with two classes. The difference is {} times the {} of",
        *(
            Cell("run-memory", {}, column)
            for column in (
                *("with many classes", "peak with two classes"),
                *("difference ÷ logits", "logits of an arm"),
            )
        ),
    )
    yield RecordedTable(PERFORMANCE, ("dry-runs",), same("study", "dry run, s"))
    yield RecordedTable(
        PERFORMANCE,
        ("dispatch",),
        same(
            *("operations of a step", "stack 1", "stack 8", "stack 32", "32 ÷ 1"),
            *("without views", "÷"),
        ),
    )


def without_sign(aim: str) -> str:
    """Returns an aim without its sign.

    >>> without_sign("≥ 1.8 ×")
    '1.8 ×'
    """
    return aim.lstrip("≤≥ ")


AGAIN = "the same command continues"
TO_GROUP = "to the group or the parent"
EQUAL = "the results of those that end are equal"
KILL, RENAMES, SIGNALS, DISKS, TOGETHER = (
    f"`… {words}`" for words in ("kill", "renames", "signals", "disks", "together")
)
# The words of each row of the page, and the row of the experiment's file.
TRIED = (
    (
        "SIGKILL of all processes of `run` at a random moment",
        AGAIN,
        "`python benchmarks/faults.py kill`",
        ("kill", "`run`"),
    ),
    ("the same of `compare`, 2 arms, 2 seeds", AGAIN, KILL, ("kill", "`compare`")),
    (
        "SIGKILL before or after a rename of `run`",
        AGAIN,
        RENAMES,
        ("renames", "`run`, SIGKILL"),
    ),
    ("Ctrl-C there", f"exit code 130, {AGAIN}", RENAMES, ("renames", "`run`, SIGINT")),
    (
        "SIGKILL before or after a rename of `report` in all formats",
        "the result is unchanged, the same command writes all reports",
        RENAMES,
        ("renames", "`report`, SIGKILL"),
    ),
    ("Ctrl-C there", "exit code 130, the same", RENAMES, ("renames", "`report`, SIGINT")),
    (
        f"SIGTERM, SIGHUP or SIGINT {TO_GROUP}",
        "the log ends with the reason; exit code 143, 129 or 130",
        SIGNALS,
        ("signals", f"SIGINT, SIGTERM or SIGHUP {TO_GROUP}"),
    ),
    (
        f"SIGSEGV or SIGKILL {TO_GROUP}",
        "no process is left after 5 s",
        SIGNALS,
        ("signals", f"SIGSEGV or SIGKILL {TO_GROUP}"),
    ),
    (
        "any of the five signals to a worker",
        "the run goes on; its result is the same",
        SIGNALS,
        ("signals", "to a worker"),
    ),
    (
        "the disk of the cache is full, 12 sizes",
        "one line that names the cache, exit code 1 or 2",
        DISKS,
        ("disks", "the cache"),
    ),
    (
        "the disk of the run directory is full, 12 sizes",
        "one line that names the directory, exit code 1 or 2",
        DISKS,
        ("disks", "the runs"),
    ),
    (
        "the disk of TMPDIR is full, 12 sizes",
        "the run succeeds",
        DISKS,
        ("disks", "the directory of temporary files"),
    ),
    (
        "the first of two processes on one cache is stopped",
        "the second says within 5 s that it waits, and ends after the first goes on",
        TOGETHER,
        ("together", "two; the first is stopped, the second says that it waits"),
    ),
    (
        "two processes; none, or one is killed, interrupted or stopped for a time",
        EQUAL,
        TOGETHER,
        ("together", "2 at once"),
    ),
    (
        "four processes; one is killed, one interrupted, one stopped for a time",
        EQUAL,
        TOGETHER,
        ("together", "4 at once"),
    ),
)
TITLES = {
    "kill": "SIGKILL of the group",
    "renames": "struck at a rename",
    "signals": "signal",
    "disks": "disk full",
    "together": "processes on one cache",
}


def on_reliability() -> Iterator[FixedTable | Sentence]:
    """Yields the table of what was tried."""
    rows = []
    for fault, what_happens, command, (experiment, row) in TRIED:
        file, where = f"faults-{experiment}", {TITLES[experiment]: row}
        trials, as_promised = (Sum(file, column, where) for column in ("trials", "as promised"))
        rows.append((fault, what_happens, command, trials, as_promised))
    columns = ("fault", "what happens", "command", "trials", "as promised")
    yield FixedTable(RELIABILITY, columns, tuple(rows))
    trials = Sum("faults-signals", "trials", {})
    yield sentence(RELIABILITY, "of 3 receivers: {} trials", trials)


def on_cluster() -> Iterator[FixedTable | Sentence]:
    """Yields the table of the cost of a cluster, and what follows from it."""

    def part(name: str, column: str) -> Cell:
        return Cell("cluster", {"part": name}, column)

    def row(words: str, name: str, each: str) -> tuple[Form, Cell, Form]:
        return (
            Form(words.format, (part(name, "number"),)),
            part(name, "seconds"),
            Form(f"{{}} {each}".format, (part(name, "for each"),)),
        )

    yield FixedTable(
        CLUSTER,
        ("part", "seconds", "for each"),
        (
            row("training and querying, {} stacks of 8", "train_stack", "a stack"),
            row("attacks, {} arms", "mount_part", "an arm"),
            row("statistics of {} arms, in the process that you started", "statistics", "an arm"),
            row(
                "queue and store of {} models (checksums, files)",
                "queue and store",
                "a model",
            ),
        ),
    )
    whole, tasks, coordinator, sent, busy = (
        Cell("cluster-model", {"figure": name}, "value")
        for name in (
            *("whole", "tasks on each worker", "coordinator", "sent for each model"),
            "time of a model from which the workers are busy",
        )
    )
    yield sentence(
        CLUSTER,
        "take {} of the default run",
        Cell("overhead", {"part": "both"}, "share"),
    )
    yield sentence(CLUSTER, "Nearly all of the last row is the store. {} travel for each", sent)
    yield sentence(
        CLUSTER,
        "on 100 workers it predicts {}: the tasks take {} on each worker, but the coordinator {}. "
        "So",
        *(whole, tasks, coordinator),
    )
    yield sentence(CLUSTER, "busy only if a model takes more than about {}. For", busy)


SHADOWS = ("2 shadows", "4 shadows", "8 shadows", "16 shadows", "32 shadows")
METRICS = ("AUC", "TPR @ 1 % FPR, %", "TPR @ 0.1 % FPR, %")
DIFFERENCES = "attack-power-differences"
BAVARIA = "BaVarIA, Student's t"


def on_attack_power() -> Iterator[RecordedTable | Sentence]:
    """Yields the tables of the power against the number of shadow models."""
    files = ("attack-power-auc", "attack-power-tpr-1", "attack-power-tpr-01")
    for number, section in enumerate(("no noise", "gaussian-mask (kappa=0.3)")):
        where = {"section": section}
        for metric, file in zip(METRICS, files, strict=True):
            yield RecordedTable(RESULTS, (file,), same(metric, *SHADOWS), where, number)
        columns = same("difference", "shadows", *METRICS)
        yield RecordedTable(RESULTS, (DIFFERENCES,), columns, where, number)

    def higher(choose: Callable[..., str], other: str, metric: str) -> Extreme:
        where = {"difference": f"{BAVARIA} − {other}"}
        form = "{:.3f}" if metric == "AUC" else "{:.0f}"
        return Extreme(choose, (DIFFERENCES,), (metric,), (where,), form)

    auc, tpr, _ = METRICS
    rmia, lira = "RMIA, online", "LiRA, online, pooled"
    yield sentence(
        RESULTS,
        "higher than the AUC of RMIA by {} to {}, and higher than the AUC of LiRA by {} to {}.",
        *(higher(choose, other, auc) for other in (rmia, lira) for choose in (max, min)),
    )
    yield sentence(
        RESULTS,
        "and {} to {} percentage points higher than the TPR of LiRA.",
        *(higher(choose, lira, tpr) for choose in (min, max)),
    )
    worse = {"difference": f"{BAVARIA} − {rmia}", "shadows": "16"}
    yield sentence(
        RESULTS,
        "and worse in between, by {} to {} percentage points with 16.",
        *(
            Extreme(choose, (DIFFERENCES,), METRICS[2:], (worse,), "{:.0f}", -1)
            for choose in (max, min)
        ),
    )


def tied() -> list[Tied]:
    """Returns the tables and sentences of all pages."""
    return [
        *on_coverage(),
        *on_power(),
        *on_interval_coverage(),
        *on_bounds(),
        *on_verdicts(),
        *on_risks(),
        *on_speed(),
        *on_performance(),
        *on_reliability(),
        *on_cluster(),
        *on_attack_power(),
    ]
