"""The AUCs on the page about attacks are those of `benchmarks/results/attack_power.md`."""

import re

import pytest

from tests.docs.pages import DOCS
from tests.docs.recorded import RESULTS
from tests.docs.tables import sentence_figure, split

ATTACKS = DOCS / "howto" / "attacks.md"
ONLINE = ("stacked, online", "RMIA, online", "BaVarIA, Student's t", "LiRA, online, pooled")
STACKED, RMIA, BAVARIA, LIRA = ONLINE
DIGITS, DP_SGD = "Digits, MLP", "Digits, MLP, DP-SGD with ε = 8"
CIFAR, FEW_CIFAR = "CIFAR-10, MLP, 10,000 examples, 15 models", "CIFAR-10, MLP, 3,000 examples"
TABLE = "Synthetic table with 20 features, MLP, 1,000 examples"

# Words with one figure for each {}; then the ensemble, the number of shadow models and the attacks.
SHOWN = [
    ("15 shadow models: {}, `rmia` {}, `bavaria` {}, `lira` {};", DIGITS, 15, ONLINE),
    ("CIFAR-10 MLP with 14: {}, {}, {}, {})", CIFAR, 14, ONLINE),
    ("on digits and with DP-SGD ({} and {},", DIGITS, 3, (RMIA, BAVARIA)),
    ("and .608, {} and {})", DP_SGD, 3, (RMIA, BAVARIA)),
    ("on CIFAR-10 and a table ({} and {},", CIFAR, 3, (BAVARIA, RMIA)),
    ("and .910, {} and {})", TABLE, 3, (BAVARIA, RMIA)),
    ("{} on digits (`rmia:online=false` {})", DIGITS, 7, ("stacked, offline", "RMIA, offline")),
    ("and {} on CIFAR-10 ({}) |", FEW_CIFAR, 7, ("stacked, offline", "RMIA, offline")),
    ("{} on digits, .92 on", "Digits, CNN", 15, ("threshold",)),
    ("digits, {} on CIFAR-10 (confidence threshold", FEW_CIFAR, 15, ("threshold",)),
]


def auc(ensemble: str, shadows: int, attack: str) -> float:
    """Returns the mean AUC of an attack on an ensemble."""
    text = (RESULTS / "attack_power.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"(?m)^## {re.escape(ensemble)}\n((?:(?!## ).*\n)*)", text)
    lines = [split(line) for line in section.splitlines() if line.startswith("|")]
    column = lines[0].index(f"{shadows} shadows")
    (cell,) = (cells[column] for cells in lines if cells[0] == attack and len(cells) > column)
    return float(cell.split()[0])


@pytest.mark.parametrize(("words", "ensemble", "shadows", "attacks"), SHOWN)
def test_the_page_shows_the_aucs_of_the_benchmark(
    words: str, ensemble: str, shadows: int, attacks: tuple[str, ...]
) -> None:
    assert words.count("{}") == len(attacks)
    for position, attack in enumerate(attacks):
        parts = [re.escape(part) for part in words.split("{}")]
        groups = [r"\.\d+"] * len(attacks)
        groups[position] = r"(\.\d+)"
        pattern = "".join(map("".join, zip(parts, [*groups, ""], strict=True)))
        shown = sentence_figure(ATTACKS, pattern)
        digits = len(shown) - 1
        assert f"{auc(ensemble, shadows, attack):.{digits}f}"[1:] == shown, attack
