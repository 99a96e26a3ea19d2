"""Which claim of a paper stands where on the page about papers.

`benchmarks/record_papers.py` records the claims.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.docs.figures import Sentence, Tied, sentence
from tests.docs.pages import DOCS
from tests.docs.recorded import rows
from tests.docs.recorded_tables import FixedTable, matching

PAGE = DOCS / "papers.md"
FILE = "papers-claims"
MASKING, NODES, WEIGHTS = "gaussian-masking", "noise-nodes", "weight-noise"
SCALES = {MASKING: "full", NODES: "quick", WEIGHTS: "quick"}  # that the page shows
TITLES = {
    MASKING: "Convergence Analysis of Two-Layer Neural Networks under Gaussian Input Masking",
    NODES: "Noise Injection as a Probe of Deep Learning Dynamics",
    WEIGHTS: "Explicit Regularization in Overparametrized Models via Noise Injection",
}


@dataclass(frozen=True)
class Claim:
    """The measured value of a claim.

    Args:
        paper: The paper, at the scale of the page.
        place: The figure and the key of the claim, as "fig3a/same-rate".
        form: How the value is shown, as the format of `str.format`.
        scale: What the value and the limits are multiplied by; −1 for a fall.
        interval: Whether the limits follow in brackets.
    """

    paper: str
    place: str
    form: str = "{:.3f}"
    scale: float = 1.0
    interval: bool = True

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        row = row_of(self.paper, self.place)
        value = self._shown(row["value"], self.form)
        if not self.interval:
            return value
        without_sign = self.form.replace("+", "")
        limits = [self._shown(row[name], without_sign) for name in ("low", "high")]
        low, high = reversed(limits) if self.scale < 0 else limits
        return f"{value} [{low}, {high}]"

    def _shown(self, number: str, form: str) -> str:
        return form.format(self.scale * float(number)).replace("-", "−")


@dataclass(frozen=True)
class Most:
    """The least or greatest value of several claims; `choose` is min or max."""

    choose: Callable[..., Claim]
    claims: tuple[Claim, ...]

    def text(self) -> str:
        """Returns the text of the figure on the page."""

        def value(claim: Claim) -> float:
            return float(row_of(claim.paper, claim.place)["value"])

        return self.choose(self.claims, key=value).text()


@dataclass(frozen=True)
class Count:
    """The number of the claims of a paper with a verdict, or of all of them."""

    paper: str
    verdict: str = ""

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        found = [row["verdict"] for row in of_paper(self.paper)]
        return str(len([verdict for verdict in found if self.verdict in ("", verdict)]))


def of_paper(paper: str) -> list[dict[str, str]]:
    """Returns the claims of a paper at the scale of the page."""
    return matching(FILE, {"paper": paper, "scale": SCALES[paper]})


def row_of(paper: str, place: str) -> dict[str, str]:
    """Returns the only claim of a paper in a place. Raises KeyError if there is no such claim."""
    figure, key = place.split("/")
    found = [row for row in of_paper(paper) if (row["figure"], row["claim"]) == (figure, key)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} claims {place} of {paper}")
    return found[0]


def counts() -> FixedTable:
    """Returns the table of the numbers of claims that hold."""
    columns = ("paper", "scale", "claims", "hold", "do not", "report")
    return FixedTable(
        PAGE,
        columns,
        tuple(
            (
                TITLES[paper],
                scale,
                Count(paper),
                Count(paper, "holds"),
                Count(paper, "does not hold"),
                f"[{paper}](papers/{paper}-{scale}/report.md)",
            )
            for paper, scale in SCALES.items()
        ),
    )


def percent(paper: str, place: str, form: str = "{:.1f}", sign: int = 1) -> Claim:
    return Claim(paper, place, form, 100 * sign)


def alone(paper: str, place: str, form: str, scale: float = 1.0) -> Claim:
    return Claim(paper, place, form, scale, interval=False)


def on_masking() -> Iterator[Sentence]:
    """Yields the sentences about Gaussian input masking."""

    def of(place: str, form: str = "{:.3f}", scale: float = 1.0) -> Claim:
        return Claim(MASKING, place, form, scale)

    yield sentence(
        PAGE,
        "the proxy is {} s below the mean at z = 0",
        alone(MASKING, "fig1a/proxy-is-the-mean", "{:.1f}"),
    )
    yield sentence(
        PAGE,
        "For κ ≤ 0.1 it is of order {} in κ, which is lower than the order of the regulariser, 2. "
        "At κ = 0.1, the remainder is {} of the",
        of("thm42/rest-order", "{:.2f}"),
        of("thm42/rest-small-0.1", "{:.2f}"),
    )
    yield sentence(
        PAGE,
        "the slope of ln(floor) against ln κ is {}. The rates of the approach to the floor differ "
        "by at most {} % {}.",
        *split(of("fig3a/floor-slope", "{:.2f}"), whole=True),
        *split(percent(MASKING, "fig3a/same-rate")),
    )
    yield sentence(
        PAGE,
        "identical to training by one client, up to a relative difference of {}.",
        alone(MASKING, "fig3b/central", "{:.0e}"),
    )
    yield sentence(PAGE, "needs {} times fewer averagings", of("fig3b/fewer-rounds", "{:.0f}"))
    yield sentence(
        PAGE,
        "accuracy of the MLP ({} percentage points). κ = 1.5 does not measurably lower the "
        "accuracy of the MLP ({}), but it lowers the accuracy of the CNN by {} percentage",
        percent(MASKING, "fig4/small-kappa-helps", "{:+.1f}"),
        percent(MASKING, "fig4/mlp-degrades", "{:+.1f}"),
        percent(MASKING, "fig4/cnn-degrades", sign=-1),
    )
    yield sentence(
        PAGE,
        "the AUC of adaptive LiRA is lower by {} on the MLP and by {} on the CNN.",
        of("fig5/mlp-lira-falls", scale=-1),
        of("fig5/cnn-lira-falls", scale=-1),
    )
    yield sentence(
        PAGE,
        "than without a mask, by {} and {} (at the κ",
        of("fig5/mlp-monotone", "{:.4f}"),
        of("fig5/cnn-monotone", "{:.4f}"),
    )
    yield sentence(
        PAGE,
        "The AUC of the adaptive shadow classifier is {} (MLP) and {} (CNN) higher than",
        alone(MASKING, "fig5/mlp-ignorance", "{:.3f}"),
        alone(MASKING, "fig5/cnn-ignorance", "{:.3f}"),
    )
    yield sentence(
        PAGE,
        "κ = 3 lowers LiRA's AUC by {} at no measurable cost in accuracy ({} percentage points).",
        of("open-questions/large-kappa", scale=-1),
        percent(MASKING, "open-questions/large-kappa-cost", "{:+.1f}"),
    )
    yield sentence(
        PAGE,
        "at κ = 1, they lower the AUC by {}. Neither",
        of("open-questions/fixed-masks", scale=-1),
    )
    yield sentence(PAGE, "the AUC at κ = 3 is {} higher", of("open-questions/formal-dp"))
    depths = tuple(
        alone(MASKING, f"open-questions/depth-{depth}", "{:.3f}") for depth in (2, 3, 4, 5)
    )
    yield sentence(
        PAGE,
        "the change of the AUC is from {} to {} over depths",
        Most(min, depths),
        Most(max, depths),
    )


@dataclass(frozen=True)
class Part:
    """The value of a claim, or its limits in brackets, where words stand between them."""

    claim: Claim
    limits: bool

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        value, _, limits = self.claim.text().partition(" ")
        return limits if self.limits else value


def split(claim: Claim, whole: bool = False) -> tuple[Claim | Part, ...]:
    """Returns the value and the limits of a claim as two figures, or as one."""
    return (claim,) if whole else (Part(claim, limits=False), Part(claim, limits=True))


def on_nodes() -> Iterator[Sentence]:
    """Yields the sentences about noise injection nodes."""
    yield sentence(
        PAGE,
        "Growth begins at ηλ = 2 × {}, and divergence begins at ηλ = 4 × {}. The decay times of "
        "the node and of the loss are {} and {} times the values",
        alone(NODES, "linear-boundaries/growth-at-2", "{:.3f}"),
        Claim(NODES, "linear-boundaries/divergence-at-4"),
        Claim(NODES, "decay-time/node-decay-time"),
        Claim(NODES, "decay-time/loss-decay-time"),
    )
    norms = tuple(
        alone(NODES, f"linear-phases/decay-whole-norm-{noise}", "{:.4f}")
        for noise in ("fresh", "fixed")
    )
    yield sentence(PAGE, "(it stays at {} of its initial value)", Most(min, norms))
    boundaries = (
        alone(NODES, f"relu-boundaries/{loss}-{what}", "{:.1f}")
        for loss in ("squared", "cross-entropy")
        for what in ("growth", "divergence")
    )
    yield sentence(
        PAGE,
        "growth begins at {} times the value 2 and divergence at {} times the value 4 with squared "
        "loss, and at {} and {} times these values with cross-entropy.",
        *boundaries,
    )


def on_weights() -> Iterator[Sentence]:
    """Yields the sentences about weight noise."""

    def of(place: str, form: str = "{:.3f}") -> Claim:
        return Claim(WEIGHTS, place, form)

    yield sentence(
        PAGE,
        "the slope is {} times the predicted σ⁴ coefficient in linear networks, and {} times half "
        "of this coefficient in ReLU networks. With layer-wise noise, the excess changes by {} % "
        "{} from 50",
        of("width/explosion-linear"),
        of("width/explosion-relu"),
        *split(percent(WEIGHTS, "width/layerwise-linear")),
    )
    yield sentence(
        PAGE,
        "loss at the end of training is {} times as high with noise on all layers as with "
        "layer-wise noise in linear networks, and {} times as high in ReLU",
        of("training/wide-linear", "{:.2f}"),
        of("training/wide-relu", "{:.2f}"),
    )
    ends = ("lasso/coefficients", "nuclear/group-lasso", "nuclear/nuclear")
    yield sentence(
        PAGE,
        "descent under weight noise ends {} %, {} % and {} % from",
        *(alone(WEIGHTS, place, "{:.1f}", 100) for place in ends),
    )
    networks = ("wide", "deep", "cnn")
    yield sentence(
        PAGE,
        "falls** to {} (wide MLP), {} (deep MLP) and {} (CNN) of its",
        *(alone(WEIGHTS, f"sigma-sweep/trace-{name}", "{:.2f}") for name in networks),
    )
    yield sentence(
        PAGE,
        "measurably** ({}, {} and {} percentage points,",
        *(alone(WEIGHTS, f"sigma-sweep/accuracy-{name}", "{:+.1f}", 100) for name in networks),
    )


def tied() -> list[Tied]:
    """Returns the table and the sentences of the page."""
    return [counts(), *on_masking(), *on_nodes(), *on_weights()]


def papers_and_scales() -> set[tuple[str, str]]:
    """Returns the papers that are recorded, each with its scale."""
    return {(row["paper"], row["scale"]) for row in rows(FILE)}
