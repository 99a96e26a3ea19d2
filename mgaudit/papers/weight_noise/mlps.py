"""Fig. 4 and 7–10: four ReLU MLPs, shallow or deep and narrow or wide, with full batches.

The depth is the number of hidden layers. σ is the strength of the weight noise, whose kinds are
those of `noises`.
"""

from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.weight_noise.curves import compared, draw_curves
from mgaudit.papers.weight_noise.noises import NOISES
from mgaudit.papers.weight_noise.noisy_training import (
    DECAY,
    OPTIMISER,
    TRIALS,
    Arm,
    Probing,
    measured_training,
)
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.training import Training

DEPTHS = {"fig7": 3, "fig8": 3, "fig9": 5, "fig10": 5}
NAMES = {
    "fig7": "Fig. 7: shallow, narrow",
    "fig8": "Fig. 8: shallow, wide",
    "fig9": "Fig. 9: deep, narrow",
    "fig10": "Fig. 10: deep, wide",
}


@dataclass(frozen=True)
class MLPSettings:
    """Full-batch gradient descent with a cosine schedule; tuples are in the order of the figures.

    `widths` are those of all hidden layers. The fields with `_on_cuda` replace the others on a
    GPU, unless they are empty or 0.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 1000
    widths: tuple[int, ...] = (48, 128, 48, 128)
    learning_rates: tuple[float, ...] = (0.05, 0.05, 0.05, 0.05)
    sigmas: tuple[float, ...] = (0.05, 0.1, 0.1, 0.05)
    steps: int = 320
    widths_on_cuda: tuple[int, ...] = ()
    learning_rates_on_cuda: tuple[float, ...] = ()
    steps_on_cuda: int = 0
    models: int = 3
    snapshots: int = 4
    probes: int = 3
    seed: int = 0


def measure(settings: MLPSettings, resources: Resources) -> Data:
    """Returns the table `models`: a row for each network, noise, model and snapshot."""
    on_cuda = resources.device == "cuda"
    widths = (on_cuda and settings.widths_on_cuda) or settings.widths
    rates = (on_cuda and settings.learning_rates_on_cuda) or settings.learning_rates
    steps = (on_cuda and settings.steps_on_cuda) or settings.steps
    arms = []
    for (figure, depth), width, rate, sigma in zip(
        DEPTHS.items(), widths, rates, settings.sigmas, strict=True
    ):
        training = Training(
            epochs=steps, batch_size=settings.examples, learning_rate=rate, weight_decay=DECAY
        )
        target = partial(MLP, hidden=(width,) * depth)
        network = f"{depth} hidden layers of {width}"
        for noise in NOISES:
            arms.append(Arm(figure, network, target, training, noise, sigma * (noise != "none")))
    probing = Probing(settings.snapshots, settings.tests, settings.probes, settings.examples)
    examples, models = settings.examples, settings.models
    rows = measured_training(
        arms, settings.dataset, examples, models, probing, settings.seed, resources
    )
    return {"models": rows}


def draw(data: Data) -> Figure:
    """Returns accuracy, training loss and trace along training, a row for each figure."""
    return draw_curves(data, NAMES, "training_loss")


def _narrow_claims(figure: str, title: str) -> tuple[Claim, ...]:
    """Returns the claims of Fig. 7 and 9, in which both kinds of noise help."""
    place = NAMES[figure].partition(":")[0]
    claims = []
    for noise, words in (("all layers", "noise on all layers"), ("layer-wise", "layer-wise noise")):
        key = f"{figure}-{'all' if noise == 'all layers' else 'layer'}"
        lower = f"{title}, {words} lowers the trace of the Hessian."
        better = f"{title}, {words} raises the test accuracy."
        claims += [
            Claim(f"{key}-trace", lower, place, compared(figure, "trace", noise, "none", False)),
            Claim(
                f"{key}-accuracy", better, place, compared(figure, "accuracy", noise, "none", True)
            ),
        ]
    ahead = f"{title}, the test accuracy is higher with layer-wise noise than with all-layer noise."
    check = compared(figure, "accuracy", "layer-wise", "all layers", True)
    return (*claims, Claim(f"{figure}-ahead", ahead, place, check))


def _wide_claims(figure: str, title: str) -> tuple[Claim, ...]:
    """Returns the claims of Fig. 8 and 10, in which only layer-wise noise helps."""
    place = NAMES[figure].partition(":")[0]
    return (
        Claim(
            f"{figure}-layer-accuracy",
            f"{title}, layer-wise noise raises the test accuracy.",
            place,
            compared(figure, "accuracy", "layer-wise", "none", True),
        ),
        Claim(
            f"{figure}-layer-trace",
            f"{title}, layer-wise noise lowers the trace of the Hessian.",
            place,
            compared(figure, "trace", "layer-wise", "none", False),
        ),
        Claim(
            f"{figure}-all-accuracy",
            f"{title}, noise on all layers does not raise the test accuracy.",
            place,
            compared(figure, "accuracy", "all layers", "none", False),
        ),
        Claim(
            f"{figure}-all-loss",
            f"{title}, noise on all layers ends with a higher training loss than layer-wise noise.",
            place,
            compared(figure, "training_loss", "all layers", "layer-wise", True),
        ),
    )


FIGURE = PaperFigure(
    key="fig7-10",
    title="Fig. 4 and 7–10: MLPs of different depth and width",
    about=(
        "The paper trains MLPs on 1,024 images of Fashion-MNIST by full-batch gradient descent, "
        "with a cosine schedule: 3 hidden layers of 500 or 5,000 units and 5 of 1,000 or 5,000, "
        "learning rates 0.005 (0.001 for the last), σ 0.05, 0.1, 0.1 and 0.05 in the order of Fig. "
        f"7–10. Fig. 4 is Fig. 9 and 10; it states σ = 0.05 for both. {OPTIMISER} The scale full "
        "has these settings on a GPU (--device cuda). The number of steps is not in the text; ours "
        "is in the settings. On CPUs the networks are narrower, the learning rates larger and the "
        "steps fewer, and the quick scale uses 8x8 digits. Where Fashion-MNIST has not been "
        "fetched (mgaudit data fetch fashion-mnist), --dataset takes CIFAR-10 images in its place; "
        "each measurement names its network and data. Every bias is a parameter group, as in the "
        "paper's code. Our images are standardised, which the paper does not say of its own. "
        "Intervals are over seeds of weights and noise, on one set of training "
        "examples. "
        f"{TRIALS}"
    ),
    quick=MLPSettings(),
    full=MLPSettings(
        dataset="fashion-mnist",
        examples=1024,
        tests=10_000,
        widths=(200, 600, 200, 500),
        learning_rates=(0.05, 0.05, 0.05, 0.02),
        steps=300,
        widths_on_cuda=(500, 5000, 1000, 5000),
        learning_rates_on_cuda=(0.005, 0.005, 0.005, 0.001),
        steps_on_cuda=3000,
        models=3,
    ),
    measure=measure,
    draw=draw,
    description=(
        "Four rows of panels, for a shallow narrow, a shallow wide, a deep narrow and a deep wide "
        "MLP: test accuracy, training loss and trace of the Hessian against the steps of training "
        "without noise, with noise on all layers and with layer-wise noise, with bars of 95 % over "
        "models."
    ),
    claims=(
        *_narrow_claims("fig7", "In a shallow narrow MLP"),
        *_wide_claims("fig8", "In a shallow wide MLP"),
        *_narrow_claims("fig9", "In a deep narrow MLP"),
        *_wide_claims("fig10", "In a deep wide MLP"),
    ),
)
