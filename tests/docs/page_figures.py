"""Which recorded number stands where on the pages.

    python -m tests.docs.page_figures --write

writes the recorded numbers into the pages; `benchmarks/record_results.py` records them, and those
of `page_tables.py` `benchmarks/record_tables.py`.

To show a further number, add a column to a `Table`, or a `sentence` with the words around the
number, and write the pages. `KINDS` in `benchmarks/record_results.py` says what is recorded.
"""

import argparse

from tests.docs import page_others, page_papers, page_tables
from tests.docs.figures import (
    LABEL,
    Column,
    Fact,
    Figure,
    Form,
    Quote,
    Sentence,
    Table,
    Tied,
    at_least,
    at_most,
    delta,
    differences,
    estimate,
    greatest,
    least,
    limits,
    negative,
    plain,
    sentence,
    value,
    written,
)
from tests.docs.pages import DOCS, ROOT
from tests.docs.recorded import Where, arms, attacks_on, label

README, FINDINGS, RESULTS = ROOT / "README.md", DOCS / "findings.md", DOCS / "results.md"
CANARIES, DP = DOCS / "howto" / "canaries.md", DOCS / "howto" / "dp-training.md"
METHOD = DOCS / "method.md"


def of_run(recording: str, study: str = "1") -> dict[str, str]:
    return {"recording": recording, "study": study}


def arm(key: str) -> dict[str, str]:
    return {"arm": key}


def by(attack: str, adversary: str = "adaptive") -> dict[str, str]:
    return {"attack": attack, "adversary": adversary}


def kind(what: str, metric: str = "") -> dict[str, str]:
    return {"what": what, "metric": metric}


DIGITS_CNN = of_run("digits-cnn")
DIGITS_OF = {"MLP": of_run("kappa-sweep-digits", "1"), "CNN": of_run("kappa-sweep-digits", "2")}
SCHEMES = of_run("noise-schemes")
WITH_CANARIES = of_run("canaries")
CIFAR_MLP, CIFAR_CNN = of_run("cifar-mlp"), of_run("cifar-cnn")
CIFAR_SWEEP = of_run("kappa-sweep-cifar")

NONE, DP_SGD = arm("none"), arm("dp-sgd:epsilon=8")
STACKED, NAIVE = by("stacked"), by("stacked", "naive")
OF_MODELS = by("", "")  # numbers of the models, not of an attack

AUC, TPR_10 = kind("attack", "auc"), kind("attack", "tpr@0.1")
TPR_1, TPR_01 = kind("attack", "tpr@0.01"), kind("attack", "tpr@0.001")
BOUND = kind("attack", "epsilon_lower_bound")
TEST_ACCURACY = kind("accuracy", "accuracy") | OF_MODELS
TRAIN_ACCURACY = kind("accuracy", "train_accuracy") | OF_MODELS
TESTED = "difference to no noise, tested"  # its p-value decides about the dagger
ACCURACY_CHANGE = kind(TESTED, "accuracy") | OF_MODELS
AUC_CHANGE, TPR_CHANGE = kind(TESTED, "auc"), kind(TESTED, "tpr@0.01")

PERCENT, PERCENT_2 = estimate(1, percent=True), estimate(2, percent=True)
POINTS, RATE = estimate(1, percent=True, signed=True), value(1, percent=True)
CHANGE = estimate(signed=True)


def mask(kappa: float) -> dict[str, str]:
    return arm(f"gaussian-mask:kappa={kappa:g}")


# Tables


def readme_table() -> Table:
    columns = {"arm": LABEL, "test accuracy, %": Column(TEST_ACCURACY, PERCENT)}
    for attack in ("stacked", "rmia", "lira", "loss"):
        columns[f"AUC of `{attack}`"] = Column(AUC | by(attack), estimate())
    columns["ε at least"] = Column(BOUND | STACKED, at_least)
    columns["ε claimed"] = Column(kind("claimed epsilon"), at_most, optional=True)
    rows = {(label(key),): DIGITS_CNN | arm(key) for key in arms("digits-cnn")}
    return Table(README, "Run and test", columns, rows)


def every_attack(run: Where, heading: str) -> Table:
    """Returns the table of all attacks of a run on every arm."""
    columns = {
        "arm": LABEL,
        "train acc., %": Column(TRAIN_ACCURACY, PERCENT),
        "test acc., %": Column(TEST_ACCURACY, PERCENT),
        "attack": LABEL,
        "AUC": Column(AUC, estimate()),
        "TPR @ 1 % FPR, %": Column(TPR_1, PERCENT_2, star=True),
        "TPR @ 0.1 % FPR, %": Column(TPR_01, PERCENT_2, star=True),
        "ε at least": Column(BOUND, at_least),
    }
    rows: dict[tuple[str, ...], Where] = {}
    for key in arms(run["recording"]):
        for attack, adversary in attacks_on(run["recording"], key):
            name = f"{attack}, naive" if adversary == "naive" else attack
            rows[label(key), name] = {**run, **arm(key), **by(attack, adversary)}
    return Table(RESULTS, heading, columns, rows)


def every_scheme() -> Table:
    columns = {
        "arm": LABEL,
        "test acc., %": Column(TEST_ACCURACY, PERCENT),
        "AUC of stacked": Column(AUC | STACKED, estimate()),
        "difference to no noise": Column(AUC_CHANGE | STACKED, CHANGE, optional=True),
        "AUC of stacked, naive": Column(AUC | NAIVE, estimate(), optional=True),
        "AUC of lira": Column(AUC | by("lira"), estimate()),
        "AUC of loss": Column(AUC | by("loss"), estimate()),
    }
    rows = {(label(key),): SCHEMES | arm(key) for key in arms("noise-schemes")}
    return Table(RESULTS, "Every scheme on the digits", columns, rows)


def ignorance() -> Table:
    """Returns the table of the part of the gain that is due to an ignorant attacker."""
    gain = by("stacked", "")
    naive, adaptive = {"what": TESTED, **NAIVE}, {"what": TESTED, **STACKED}
    apparent, real = kind("ignorance: apparent gain", "auc"), kind("ignorance: real gain", "auc")
    columns = {
        "data, network": LABEL,
        "κ": LABEL,
        "test accuracy, percentage points": Column(ACCURACY_CHANGE, POINTS, dagger={}),
        "no noise − naive (apparent gain)": Column(apparent | gain, CHANGE, dagger=naive),
        "no noise − adaptive (real gain)": Column(real | gain, CHANGE, dagger=adaptive),
        "ignorance": Column(kind("ignorance", "auc") | gain, estimate()),
    }
    strengths = {
        "digits, MLP": (DIGITS_OF["MLP"], (0.5, 1, 1.5, 2)),
        "digits, CNN": (DIGITS_OF["CNN"], (0.75, 1, 1.5, 2)),
        "CIFAR-10, MLP": (CIFAR_SWEEP, (1, 1.5, 2)),
    }
    rows = {
        (name, f"{kappa:g}"): run | mask(kappa)
        for name, (run, kappas) in strengths.items()
        for kappa in kappas
    }
    heading = (
        "1. Most of the apparent AUC reduction by a mask is due to the attacker's ignorance of the "
        "mask"
    )
    return Table(FINDINGS, heading, columns, rows)


PROTECTION = (
    "2. Up to κ = 1 a mask protects neither network; DP-SGD protects far more at a small cost in "
    "accuracy"
)


def cifar_sweep() -> Table:
    columns = {
        "CIFAR-10 MLP": LABEL,
        "test accuracy, %": Column(TEST_ACCURACY, PERCENT),
        "AUC": Column(AUC | STACKED, estimate()),
        "paired difference": Column(AUC_CHANGE | STACKED, CHANGE, dagger={}, optional=True),
        "TPR @ 1 % FPR, %": Column(TPR_1 | STACKED, PERCENT),
        "ε at least": Column(BOUND | STACKED, at_least),
    }
    rows = {("κ = 0",): CIFAR_SWEEP | NONE}
    rows |= {(f"{kappa:g}",): CIFAR_SWEEP | mask(kappa) for kappa in (0.5, 1, 1.5, 2)}
    rows["DP-SGD, ε = 8",] = CIFAR_SWEEP | DP_SGD
    return Table(FINDINGS, PROTECTION, columns, rows)


def digits_sweep() -> Table:
    columns = {
        "digits": LABEL,
        "test accuracy, %": Column(TEST_ACCURACY, PERCENT),
        "AUC": Column(AUC | STACKED, estimate()),
        "TPR @ 1 % FPR, %": Column(TPR_1 | STACKED, PERCENT),
        "ε at least": Column(BOUND | STACKED, at_least),
    }
    shown = {"no noise": NONE, "κ = 1.5": mask(1.5), "DP-SGD, ε = 8": DP_SGD}
    rows = {
        (f"{network}, {name}",): run | key
        for network, run in DIGITS_OF.items()
        for name, key in shown.items()
    }
    return Table(FINDINGS, PROTECTION, columns, rows)


AT_DP_SGD = {"reference": "dp-sgd:epsilon=8", **STACKED}
MATCHED_ACCURACY = kind("matched accuracy: accuracy", "accuracy") | AT_DP_SGD
MATCHED_DIFFERENCE = kind("matched accuracy: difference to reference", "auc") | AT_DP_SGD
MATCHED_ROWS = {
    "Gaussian mask (κ)": "gaussian-mask",
    "Gaussian noise on the inputs (σ)": "gaussian-noise",
    "dropout of inputs (rate)": "dropout",
    "weight noise (σ)": "weight-noise:layerwise=true",
    "early stopping (epochs of 30)": "early-stop",
    "label noise (rate)": "label-noise",
}


def matched_accuracy() -> Table:
    columns = {
        "scheme": LABEL,
        "strength": Column(kind("matched accuracy: strength") | AT_DP_SGD, value(2)),
        "AUC": Column(kind("matched accuracy", "auc") | AT_DP_SGD, estimate()),
        "AUC − that of DP-SGD": Column(MATCHED_DIFFERENCE, CHANGE),
    }
    rows = {(name,): SCHEMES | arm(family) for name, family in MATCHED_ROWS.items()}
    heading = (
        "3. At the accuracy of tuned DP-SGD, every kind of noise but label noise leaks more on the "
        "digits"
    )
    return Table(FINDINGS, heading, columns, rows)


LOSS = by("loss")
SMOOTHED = arm("label-smoothing:smoothing=0.3")
CANARY_AUC = kind("pooled, mislabelled canaries", "auc") | LOSS
CANARY_TPR = kind("pooled, mislabelled canaries", "tpr@0.1") | LOSS


def canaries() -> Table:
    columns = {
        "digits, CNN, 16 models": LABEL,
        "test accuracy, %": Column(TEST_ACCURACY, PERCENT),
        "AUC, all examples": Column(AUC | LOSS, estimate()),
        "TPR @ 1 % FPR, %": Column(TPR_1 | LOSS, PERCENT),
        "AUC, canaries": Column(CANARY_AUC, estimate()),
        "TPR @ 10 % FPR, canaries, %": Column(CANARY_TPR, estimate(0, percent=True)),
    }
    rows = {
        ("no noise",): WITH_CANARIES | NONE,
        ("label smoothing 0.3",): WITH_CANARIES | SMOOTHED,
        ("early stopping after 10 epochs",): WITH_CANARIES | arm("early-stop:epochs=10"),
        ("DP-SGD, ε = 8",): WITH_CANARIES | DP_SGD,
    }
    heading = "5. An average that looks private can hide examples that are found"
    return Table(FINDINGS, heading, columns, rows)


# Sentences


def figure(*where: Where, form: Form, dagger: Where | None = None) -> Figure:
    joined: dict[str, str] = {}
    for columns in where:
        joined |= columns
    return Figure(joined, form, dagger=dagger)


def in_readme() -> list[Tied]:
    change = kind("verdict: difference", "auc") | STACKED
    return [
        readme_table(),
        Quote(README, "digits-cnn", 0),
        sentence(
            README,
            "both at δ = {}. On another",
            figure(DIGITS_CNN, NONE, kind("delta"), form=delta),
        ),
        sentence(
            README,
            "DP-SGD *protects* (difference in AUC {}, simultaneous interval {}), and costs {} "
            "percentage points of accuracy. Its bound of {} is far below",
            figure(DIGITS_CNN, DP_SGD, change, form=value(signed=True)),
            figure(DIGITS_CNN, DP_SGD, change, form=limits(signed=True)),
            figure(DIGITS_CNN, DP_SGD, ACCURACY_CHANGE, form=negative(PERCENT)),
            figure(DIGITS_CNN, DP_SGD, BOUND, STACKED, form=at_least),
        ),
        sentence(README, "its canaries imply ε ≥ {} at δ = {}.", *white_box()),
    ]


WHITE_BOX = {"recording": "white-box"}
REPEATED = {"recording": "repeated-runs"}


def white_box() -> list[Figure]:
    """Returns the implied ε of the white-box audit, and its δ."""
    return [
        figure(WHITE_BOX, kind("bound: white box, guesses (Clopper-Pearson)"), form=at_least),
        figure(WHITE_BOX, kind("delta"), form=delta),
    ]


def dp_settings(run: Where, *kinds: str) -> list[Figure]:
    """Returns the settings of DP-SGD and δ."""
    settings = [figure(run, DP_SGD, kind(what), form=plain) for what in kinds]
    return [*settings, figure(run, DP_SGD, kind("delta"), form=delta)]


def paired(run: Where, *attacks: str, adversary: str = "adaptive") -> list[Figure]:
    """Returns the differences in AUC that the mask of κ = 0.3 makes to attacks."""
    return [
        figure(run, mask(0.3), AUC_CHANGE, by(attack, adversary), form=CHANGE) for attack in attacks
    ]


def on_cifar_mlp() -> list[Tied]:
    run = CIFAR_MLP
    dp_auc = figure(run, DP_SGD, AUC, STACKED, form=value())
    how = ("processor", "torch", "opacus")
    return [
        sentence(
            RESULTS,
            "The processor was {}, without a GPU, with torch {} and Opacus {}.",
            *(Fact("digits-cnn", key) for key in how),
        ),
        sentence(
            RESULTS,
            "The runs on CIFAR-10 images were recorded on {}, by code in which",
            Fact("cifar-mlp", "processor"),
        ),
        every_attack(run, "CIFAR-10, MLP 3072-512-256-10, κ = 0.3"),
        sentence(
            RESULTS,
            "DP-SGD has its tuned defaults ({} epochs, batches of {} on average, learning rate {}, "
            "clip norm {}, weights averaged with decay {}; δ = {}).",
            *dp_settings(
                run,
                "DP-SGD epochs",
                "DP-SGD batch size",
                "DP-SGD learning rate",
                "gradient norm at most",
                "DP-SGD averaging",
            ),
        ),
        sentence(
            RESULTS,
            "did not measurably change test accuracy ({} percentage points)",
            figure(run, mask(0.3), ACCURACY_CHANGE, form=POINTS),
        ),
        sentence(
            RESULTS,
            "of any attack (paired differences: stacked {}, rmia {}, lira {}, loss {}): by",
            *paired(run, "stacked", "rmia", "lira", "loss"),
        ),
        sentence(
            RESULTS,
            "do not help (the AUC of `stacked` changes by {}).",
            figure(run, mask(0.3), kind("through the noise: gain", "auc"), STACKED, form=CHANGE),
        ),
        sentence(
            RESULTS,
            "Tuned DP-SGD at ε = 8 reaches {} % accuracy, {} percentage points less than",
            figure(run, DP_SGD, TEST_ACCURACY, form=PERCENT),
            figure(run, DP_SGD, ACCURACY_CHANGE, form=negative(PERCENT)),
        ),
        sentence(
            RESULTS,
            "highest AUC is {} (stacked, 7 shadow models) instead of 0.604 (rmia, 15 shadow "
            "models, untuned), and {} without noise. LiRA alone would make DP-SGD look better than "
            "it is ({}).",
            dp_auc,
            figure(run, NONE, AUC, STACKED, form=value()),
            figure(run, DP_SGD, AUC, by("lira"), form=value()),
        ),
        sentence(
            RESULTS,
            "can prove at most ε ≥ {}. Without noise they prove {}, and under DP-SGD {}, where",
            figure(run, NONE, kind("provable epsilon"), form=at_least),
            figure(run, NONE, BOUND, STACKED, form=at_least),
            figure(run, DP_SGD, BOUND, STACKED, form=at_least),
        ),
    ]


def on_cifar_cnn() -> list[Tied]:
    run = CIFAR_CNN
    return [
        every_attack(run, "CIFAR-10, CNN (32-64 channels, 128 hidden), κ = 0.3, 10 epochs"),
        sentence(
            RESULTS,
            "DP-SGD has its tuned defaults ({} epochs, batches of {} on average, learning rate {} "
            "without momentum, clip norm {}; δ = {}).",
            *dp_settings(
                run,
                "DP-SGD epochs",
                "DP-SGD batch size",
                "DP-SGD learning rate",
                "gradient norm at most",
            ),
        ),
        sentence(
            RESULTS,
            "that of LiRA (paired differences: stacked {}, rmia {}, lira {}), and test "
            "accuracy by {} percentage points.",
            *paired(run, "stacked", "rmia", "lira"),
            figure(run, mask(0.3), ACCURACY_CHANGE, form=negative(PERCENT)),
        ),
        sentence(
            RESULTS,
            "falls a little further (naive: stacked {}, rmia {}, lira {}).",
            *paired(run, "stacked", "rmia", "lira", adversary="naive"),
        ),
        sentence(
            RESULTS,
            "the success of `stacked` requires ε ≥ {}.",
            figure(run, mask(0.3), BOUND, STACKED, form=at_least),
        ),
        sentence(
            RESULTS,
            "the highest AUC is {} (stacked) instead of {}, at a cost of {} percentage points of "
            "accuracy.",
            figure(run, DP_SGD, AUC, STACKED, form=value()),
            figure(run, NONE, AUC, STACKED, form=value()),
            figure(run, DP_SGD, ACCURACY_CHANGE, form=negative(PERCENT)),
        ),
        sentence(
            RESULTS,
            "40.7 ± 0.7 % accurate instead of {} %, and RMIA's AUC was 0.558 (with 15 shadow "
            "models) instead of {} (with 7)",
            figure(run, DP_SGD, TEST_ACCURACY, form=PERCENT),
            figure(run, DP_SGD, AUC, by("rmia"), form=value()),
        ),
    ]


def of_each(keys: list[str], *where: Where, form: Form) -> list[Figure]:
    return [figure(SCHEMES, arm(key), *where, form=form) for key in keys]


def on_every_scheme() -> list[Tied]:
    smoothings = [f"label-smoothing:smoothing={strength:g}" for strength in (0.05, 0.1, 0.2, 0.3)]
    auc_gains = of_each(smoothings, AUC_CHANGE, STACKED, form=value())
    accuracy_gains = of_each(smoothings, ACCURACY_CHANGE, form=RATE)
    one_group = arm("weight-noise:sigma=1,layerwise=true")
    aucs_of_two = [
        figure(SCHEMES, mask(kappa), AUC, attack, form=value())
        for kappa in (1, 2)
        for attack in (NAIVE, STACKED)
    ]
    return [
        every_scheme(),
        sentence(
            RESULTS,
            "κ = 2 lowers the AUC by {} and the accuracy by {} percentage points.",
            figure(SCHEMES, mask(2), AUC_CHANGE, STACKED, form=negative(value())),
            figure(SCHEMES, mask(2), ACCURACY_CHANGE, form=negative(RATE)),
        ),
        sentence(
            RESULTS,
            "the AUC is {} with noise-free shadow models and {} with matching shadow models; at "
            "κ = 2, the two AUCs are {} and {}.",
            *aucs_of_two,
        ),
        sentence(
            RESULTS,
            "a smoothing of 0.05 to 0.3 raises the AUC by {} to {} and *raises* the accuracy by {} "
            "to {} percentage points. A naive audit shows the opposite ({} and less).",
            least(auc_gains),
            greatest(auc_gains),
            least(accuracy_gains),
            greatest(accuracy_gains),
            greatest(of_each(smoothings, AUC, NAIVE, form=value())),
        ),
        sentence(
            RESULTS,
            "weight noise at σ = 1 on one group, {} of 16 models diverge",
            figure(SCHEMES, one_group, kind("models diverged"), form=plain),
        ),
        sentence(
            RESULTS,
            "DP-SGD at ε = 8 has an accuracy of {} % and an AUC of {}, with a proof. The mask at "
            "κ = 2 has an accuracy of {} % and an AUC of {}, without",
            figure(SCHEMES, DP_SGD, TEST_ACCURACY, form=RATE),
            figure(SCHEMES, DP_SGD, AUC, STACKED, form=value()),
            figure(SCHEMES, mask(2), TEST_ACCURACY, form=RATE),
            figure(SCHEMES, mask(2), AUC, STACKED, form=value()),
        ),
        sentence(
            RESULTS,
            "76.5 % at ε = 2 (now {}) and 48.6 % at ε = 1 (now {}).",
            *of_each(["dp-sgd:epsilon=2", "dp-sgd:epsilon=1"], TEST_ACCURACY, form=RATE),
        ),
    ]


def in_findings() -> list[Tied]:
    tpr_falls = [
        figure(DIGITS_OF[network], *where, STACKED, form=form, dagger=dagger)
        for network in ("CNN", "MLP")
        for where, form, dagger in (
            ((NONE, TPR_1), RATE, None),
            ((mask(1.5), TPR_1), RATE, None),
            ((mask(1.5), TPR_CHANGE), POINTS, {}),
        )
    ]
    family = arm("gaussian-mask")
    matched = {
        network: [
            figure(run, family, MATCHED_ACCURACY, form=RATE),
            figure(run, family, MATCHED_DIFFERENCE, form=estimate()),
        ]
        for network, run in DIGITS_OF.items()
    }
    return [
        ignorance(),
        cifar_sweep(),
        digits_sweep(),
        sentence(
            FINDINGS,
            "at 1 % FPR falls from {} to {} % on the CNN ({} percentage points), and from {} to {} "
            "% on the MLP ({}), for an attacker",
            *tpr_falls,
        ),
        sentence(
            FINDINGS,
            "at κ = 2, `stacked` still finds {} % of them at 1 % FPR. DP-SGD at ε = 8 leaves it {} "
            "%, at a cost of {} percentage points",
            figure(CIFAR_SWEEP, mask(2), TPR_1, STACKED, form=RATE),
            figure(CIFAR_SWEEP, DP_SGD, TPR_1, STACKED, form=RATE),
            figure(CIFAR_SWEEP, DP_SGD, ACCURACY_CHANGE, form=negative(PERCENT)),
        ),
        sentence(
            FINDINGS,
            "At the accuracy of DP-SGD ({} %), the AUC under the mask is {} higher on the MLP, and "
            "{} higher at {} % on the CNN",
            *matched["MLP"],
            *reversed(matched["CNN"]),
        ),
        sentence(
            FINDINGS,
            "that of RMIA by {} at κ = 1.",
            figure(CIFAR_SWEEP, mask(1), AUC_CHANGE, by("rmia"), form=estimate(), dagger={}),
        ),
        matched_accuracy(),
        sentence(
            FINDINGS,
            "At {} %, the accuracy of DP-SGD with ε = 8, its AUC is {}. The paired",
            figure(SCHEMES, DP_SGD, TEST_ACCURACY, form=RATE),
            figure(SCHEMES, DP_SGD, AUC, STACKED, form=estimate()),
        ),
        *on_label_smoothing(),
        canaries(),
    ]


def on_label_smoothing() -> list[Sentence]:
    weak, strong = arm("label-smoothing:smoothing=0.1"), arm("label-smoothing:smoothing=0.5")
    return [
        sentence(
            FINDINGS,
            "Without noise, the AUC is {}. With smoothing 0.1, an attacker with noise-free shadow "
            "models reaches {}, an apparent gain.",
            figure(SCHEMES, NONE, AUC, STACKED, form=estimate()),
            figure(SCHEMES, weak, AUC, NAIVE, form=estimate()),
        ),
        sentence(
            FINDINGS,
            "the attacker reaches {}: the smoothing *raises* the AUC by {}. With smoothing 0.5, "
            "the two attackers reach {} and {}.",
            figure(SCHEMES, weak, AUC, STACKED, form=estimate()),
            figure(SCHEMES, weak, AUC_CHANGE, STACKED, form=estimate()),
            figure(SCHEMES, strong, AUC, NAIVE, form=estimate()),
            figure(SCHEMES, strong, AUC, STACKED, form=estimate()),
        ),
    ]


def in_method() -> Sentence:
    bounds = [
        figure(DIGITS_CNN, key, BOUND, STACKED, form=at_least) for key in (NONE, mask(0.3), DP_SGD)
    ]
    return sentence(
        METHOD,
        "attack is {} without noise, {} with a mask of κ = 0.3 and {} with DP-SGD at ε = 8;",
        *bounds,
    )


def in_how_to() -> list[Tied]:
    run, whole = WITH_CANARIES, value(0, percent=True)
    implied, its_delta = white_box()
    return [
        sentence(
            CANARIES,
            "the AUC of the attack `loss` is {}, with a TPR of {} % at 1 % FPR. On the canaries "
            "alone, its AUC is {}, with a TPR of {} % at 10 % FPR.",
            figure(run, NONE, AUC, LOSS, form=estimate()),
            figure(run, NONE, TPR_1, LOSS, form=RATE),
            figure(run, NONE, CANARY_AUC, form=estimate()),
            figure(run, NONE, CANARY_TPR, form=whole),
        ),
        sentence(
            CANARIES,
            "the AUC is {} on average and {} on the canaries.",
            figure(run, SMOOTHED, AUC, LOSS, form=estimate()),
            figure(run, SMOOTHED, CANARY_AUC, form=estimate()),
        ),
        sentence(
            DP,
            "prove ε ≥ {} without an assumption on the mechanism, and ε ≥ {} if its trade-off",
            figure(REPEATED, kind("bound: repeated, Clopper-Pearson"), form=at_least),
            figure(REPEATED, kind("bound: repeated, GDP"), form=at_least),
        ),
        sentence(
            DP,
            "for the command above, ε ≥ {} of {} (at δ = {}).",
            implied,
            figure(WHITE_BOX, kind("claimed epsilon"), form=at_most),
            its_delta,
        ),
    ]


def tied() -> list[Tied]:
    """Returns the tables and sentences of all pages."""
    return [
        *in_readme(),
        *on_cifar_mlp(),
        *on_cifar_cnn(),
        *on_every_scheme(),
        *in_findings(),
        *in_how_to(),
        in_method(),
        *page_tables.tied(),
        *page_papers.tied(),
        *page_others.tied(),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the recorded numbers")
    options = parser.parse_args()
    for part in tied():
        page = part.page.read_text(encoding="utf-8")
        for difference in differences(part, page):
            print(difference)
        if options.write:
            part.page.write_text(written(part, page), encoding="utf-8")


if __name__ == "__main__":
    main()
