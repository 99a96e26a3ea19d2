"""Figures on pages from `benchmarks/results/attack_power.md`, other results, and publications."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tests.docs.figures import Sentence, Tied, sentence
from tests.docs.pages import DOCS, ROOT
from tests.docs.recorded import RESULTS
from tests.docs.recorded_tables import Cell, Extreme
from tests.docs.tables import split

ATTACKS, FINDINGS = DOCS / "howto" / "attacks.md", DOCS / "findings.md"
METHOD, RESULTS_PAGE = DOCS / "method.md", DOCS / "results.md"

ONLINE = ("stacked, online", "RMIA, online", "BaVarIA, Student's t", "LiRA, online, pooled")
STACKED, RMIA, BAVARIA, LIRA = ONLINE
DIGITS, DP_SGD = "Digits, MLP", "Digits, MLP, DP-SGD with ε = 8"
CIFAR, FEW_CIFAR = "CIFAR-10, MLP, 10,000 examples, 15 models", "CIFAR-10, MLP, 3,000 examples"
TABLE = "Synthetic table with 20 features, MLP, 1,000 examples"


@cache
def lines_of(ensemble: str) -> list[list[str]]:
    """Returns the rows of the tables of an ensemble in `attack_power.md`."""
    text = (RESULTS / "attack_power.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"(?m)^## {re.escape(ensemble)}\n((?:(?!## ).*\n)*)", text)
    return [split(line) for line in section.splitlines() if line.startswith("|")]


@dataclass(frozen=True)
class AUC:
    """The mean AUC of an attack on an ensemble, without the zero before the point."""

    ensemble: str
    shadows: int
    attack: str
    digits: int = 3

    def value(self) -> float:
        """Returns the AUC, of the first table of the ensemble."""
        lines = lines_of(self.ensemble)
        column = lines[0].index(f"{self.shadows} shadows")
        found = [cells for cells in lines if cells[0] == self.attack and len(cells) > column]
        return float(found[0][column].split()[0])

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        return f"{self.value():.{self.digits}f}"[1:]


@dataclass(frozen=True)
class GreatestLoss:
    """How far the stacked attack is below the better of RMIA and BaVarIA, at most."""

    ensembles: Sequence[str]
    shadows: int

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        losses = []
        for ensemble in self.ensembles:
            stacked, *others = (
                AUC(ensemble, self.shadows, attack).value() for attack in (STACKED, RMIA, BAVARIA)
            )
            losses.append(max(others) - stacked)
        return f"{max(losses):.3f}"[1:]


def on_attacks() -> Iterator[Sentence]:
    """Yields the sentences about the power of attacks."""
    yield sentence(
        ATTACKS,
        "(digits MLP with 15 shadow models: {}, `rmia` {}, `bavaria` {}, `lira` {}; CIFAR-10 MLP "
        "with 14: {}, {}, {}, {})",
        *(AUC(DIGITS, 15, attack) for attack in ONLINE),
        *(AUC(CIFAR, 14, attack) for attack in ONLINE),
    )
    yield sentence(
        ATTACKS,
        "on digits and with DP-SGD ({} and {}, {} and {}), `bavaria` on CIFAR-10 and a table ({} "
        "and {}, {} and {}); the mean is at most {} below",
        *(AUC(ensemble, 3, attack) for ensemble in (DIGITS, DP_SGD) for attack in (RMIA, BAVARIA)),
        *(AUC(ensemble, 3, attack) for ensemble in (CIFAR, TABLE) for attack in (BAVARIA, RMIA)),
        GreatestLoss((DIGITS, DP_SGD, CIFAR, FEW_CIFAR, TABLE), 3),
    )
    yield sentence(
        ATTACKS,
        "with 7 shadow models, {} on digits (`rmia:online=false` {}) and {} on CIFAR-10 ({}) |",
        *(
            AUC(ensemble, 7, attack)
            for ensemble in (DIGITS, FEW_CIFAR)
            for attack in ("stacked, offline", "RMIA, offline")
        ),
    )
    yield sentence(
        ATTACKS,
        "| {} on digits, {} on CIFAR-10 (confidence threshold",
        AUC("Digits, CNN", 15, "threshold", 2),
        AUC(FEW_CIFAR, 15, "threshold", 2),
    )


PAPER_CODE = ROOT / "reports" / "published" / "kolomvaki-2026-attack.json"


@dataclass(frozen=True)
class Published:
    """An AUC that the code of the paper on Gaussian input masking prints."""

    kappa: str

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        results = json.loads(PAPER_CODE.read_text(encoding="utf-8"))["results"]
        place = f"table of attack AUC, κ = {self.kappa}, 120 epochs"
        (found,) = (result for result in results if result["place"] == place)
        return str(found["numbers"][0]["printed"]).removeprefix("0")


def on_method() -> Iterator[Sentence]:
    """Yields the sentences of the method about the power of audits."""
    files = ("detectable", "detectable-shadows")
    effects = ("AUC", "difference in AUC", "TPR", "difference in TPR")
    lira = {"attack": "LiRA", "targets": "8"}
    yield sentence(
        METHOD,
        "RMIA's power was [{} to {} %](validation.md#smallest-detectable-effects)",
        *(
            Extreme(choose, files[1:], effects, ({"attack": "RMIA"},), "{:.0f}")
            for choose in (min, max)
        ),
    )
    yield sentence(
        METHOD,
        "(a power of {} to {} % in simulations with 8 targets).",
        *(Extreme(choose, files[1:], effects, (lira,), "{:.0f}") for choose in (min, max)),
    )


def old(what: str) -> Cell:
    """Returns a number of version 0.2, whose DP-SGD was not tuned."""
    return Cell("version-0.2", {"what": what}, "value")


def of_version_02() -> Iterator[Sentence]:
    """Yields the sentences that compare with version 0.2."""
    mlp, cnn = "CIFAR-10, MLP", "CIFAR-10, CNN"
    yield sentence(
        RESULTS_PAGE,
        "With the untuned defaults of version 0.2 it was {} %, a cost of {} percentage points.",
        old(f"{mlp}, dp-sgd (epsilon=8): test accuracy, %"),
        old(f"{mlp}, dp-sgd (epsilon=8): cost in accuracy, points"),
    )
    yield sentence(
        RESULTS_PAGE,
        "instead of {} (rmia, 15 shadow models, untuned)",
        old(f"{mlp}, dp-sgd (epsilon=8): AUC of rmia, 15 shadow models"),
    )
    yield sentence(
        RESULTS_PAGE,
        "With the untuned defaults of version 0.2 it was {} % accurate",
        old(f"{cnn}, dp-sgd (epsilon=8): test accuracy, %"),
    )
    yield sentence(
        RESULTS_PAGE,
        "RMIA's AUC was {} (with 15 shadow models)",
        old(f"{cnn}, dp-sgd (epsilon=8): AUC of rmia, 15 shadow models"),
    )
    accuracies = [old(f"digits, CNN, dp-sgd (epsilon={e}): test accuracy, %") for e in (8, 2, 1)]
    yield sentence(RESULTS_PAGE, "was {} % accurate at ε = 8, {} % at ε = 2 (", *accuracies[:2])
    yield sentence(RESULTS_PAGE, ") and {} % at ε = 1 (now", accuracies[2])
    yield sentence(FINDINGS, "With the untuned DP-SGD of version 0.2 ({} %)", accuracies[0])
    yield sentence(
        FINDINGS,
        "the cost was {} percentage points: a comparison with",
        old(f"{mlp}, dp-sgd (epsilon=8): cost in accuracy, points, with its interval"),
    )
    smoothing = f"{mlp}, 5,000 examples, label-smoothing (smoothing=0.5): AUC of lira"
    yield sentence(
        FINDINGS,
        "the two were {} and {} at smoothing 0.5, and {} without:",
        old(f"{smoothing}, naive"),
        old(smoothing),
        old(f"{mlp}, 5,000 examples, no noise: AUC of lira"),
    )


def tied() -> list[Tied]:
    """Returns the sentences of all pages."""
    published = sentence(
        FINDINGS,
        "prints attack AUCs of {} (κ = 0), {} (0.5) and {} (1.8) after 120 epochs",
        *(Published(kappa) for kappa in ("0.0", "0.5", "1.8")),
    )
    return [*on_attacks(), published, *on_method(), *of_version_02()]
