"""Fig. 5, 11 and 12: a small and a wide CNN without normalisation, with minibatches.

σ is the strength of the weight noise, whose kinds are those of `noises`.
"""

from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.weight_noise.curves import compared, draw_curves, falls_from_peak, steadier
from mgaudit.papers.weight_noise.noises import NOISES
from mgaudit.papers.weight_noise.noisy_training import (
    DECAY,
    OPTIMISER,
    TRIALS,
    Arm,
    Probing,
    measured_training,
)
from mgaudit.targets.networks.plain_cnn import PlainCNN
from mgaudit.targets.training import Training

NAMES = {"fig11": "Fig. 11: toy CNN", "fig12": "Fig. 12: wide CNN"}


@dataclass(frozen=True)
class CNNSettings:
    """SGD with a cosine schedule; tuples are in the order of the figures.

    `toy_channels` are those of the toy CNN, which has 5x5 convolutions and two hidden layers, and
    `wide_channels` those of the wide CNN, which has 3x3 convolutions and averages each channel.
    `pools` are the convolutions with max pooling, and images keep their size in the convolutions
    of the toy CNN if `padded`. `trace_examples` training examples are used for the trace. The
    fields with `_on_cuda` replace the others on a GPU, unless they are empty or 0.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 1000
    toy_channels: tuple[int, ...] = (6, 16)
    toy_hidden: tuple[int, ...] = (60, 42)
    padded: bool = True
    wide_channels: tuple[int, ...] = (16, 32, 32, 32)
    pools: tuple[int, ...] = (2, 3)
    sigma: float = 0.05
    batch_size: int = 64
    learning_rates: tuple[float, ...] = (0.05, 0.1)
    epochs: int = 40
    examples_on_cuda: int = 0
    batch_size_on_cuda: int = 0
    learning_rates_on_cuda: tuple[float, ...] = ()
    epochs_on_cuda: int = 0
    models: int = 3
    snapshots: int = 4
    probes: int = 2
    trace_examples: int = 256
    seed: int = 0


def measure(settings: CNNSettings, resources: Resources) -> Data:
    """Returns the table `models`: a row for each network, noise, model and snapshot."""
    on_cuda = resources.device == "cuda"
    examples = (on_cuda and settings.examples_on_cuda) or settings.examples
    batch_size = (on_cuda and settings.batch_size_on_cuda) or settings.batch_size
    rates = (on_cuda and settings.learning_rates_on_cuda) or settings.learning_rates
    epochs = (on_cuda and settings.epochs_on_cuda) or settings.epochs
    toy_pools, wide_pools = settings.pools
    targets = {
        "fig11": partial(
            PlainCNN,
            channels=settings.toy_channels,
            pools=toy_pools,
            hidden=settings.toy_hidden,
            padded=settings.padded,
        ),
        "fig12": partial(
            PlainCNN,
            channels=settings.wide_channels,
            kernel=3,
            pools=wide_pools,
            hidden=(),
            average=True,
        ),
    }
    channels = {"fig11": settings.toy_channels, "fig12": settings.wide_channels}
    arms = []
    for (figure, target), rate in zip(targets.items(), rates, strict=True):
        training = Training(
            epochs=epochs, batch_size=batch_size, learning_rate=rate, weight_decay=DECAY
        )
        network = "channels " + ", ".join(map(str, channels[figure]))
        for noise in NOISES:
            sigma = settings.sigma * (noise != "none")
            arms.append(Arm(figure, network, target, training, noise, sigma))
    probing = Probing(settings.snapshots, settings.tests, settings.probes, settings.trace_examples)
    rows = measured_training(
        arms, settings.dataset, examples, settings.models, probing, settings.seed, resources
    )
    return {"models": rows}


def draw(data: Data) -> Figure:
    """Returns accuracy, test loss and trace along training, a row for each network."""
    return draw_curves(data, NAMES, "test_loss")


FIGURE = PaperFigure(
    key="fig11-12",
    title="Fig. 5, 11 and 12: CNNs without normalisation",
    about=(
        "The paper trains two CNNs on the 50,000 training images of CIFAR-10 by SGD with batches "
        "of 1,024 and a cosine schedule: 5x5 convolutions of 6 and 16 channels with layers of 120 "
        "and 84 units, learning rate 0.001, and 3x3 convolutions of 32, 64, 128 and 128 channels "
        "whose averages feed one linear layer, learning rate 0.005. Fig. 5 shows both; its caption "
        f"states σ = 0.005 and the appendix σ = 0.05, which is ours. {OPTIMISER} In that code, "
        "the convolutions of the wide CNN are padded and each is followed by pooling, as ours; it "
        "also augments the images, which we leave out, and has 128 channels in the second "
        "convolution. The number of epochs is not in the text. The scale full has these settings "
        "on a GPU (--device cuda). On CPUs there are fewer images and smaller "
        "batches at larger learning rates, and the quick scale uses 8x8 digits and smaller "
        "networks. Each measurement names its network and data. Intervals are over seeds of "
        "weights, batches and noise. "
        f"{TRIALS}"
    ),
    quick=CNNSettings(),
    full=CNNSettings(
        dataset="cifar10",
        examples=2048,
        tests=2000,
        toy_hidden=(120, 84),
        padded=False,
        wide_channels=(32, 64, 128, 128),
        pools=(2, 4),
        batch_size=128,
        learning_rates=(0.01, 0.02),
        epochs=20,
        examples_on_cuda=50_000,
        batch_size_on_cuda=1024,
        learning_rates_on_cuda=(0.001, 0.005),
        epochs_on_cuda=150,
        models=3,
        snapshots=6,
        trace_examples=256,
    ),
    measure=measure,
    draw=draw,
    description=(
        "Two rows of panels, for the toy CNN and the wide CNN: test accuracy, test loss and trace "
        "of the Hessian against the steps of training without noise, with noise on all layers and "
        "with layer-wise noise, with bars of 95 % over models."
    ),
    claims=(
        Claim(
            "fig11-plain-falls",
            "Without noise, the test accuracy of the toy CNN ends below its highest value.",
            "Fig. 11",
            falls_from_peak("fig11", "none"),
        ),
        Claim(
            "fig11-all-accuracy",
            "In the toy CNN, noise on all layers raises the final test accuracy.",
            "Fig. 11",
            compared("fig11", "accuracy", "all layers", "none", higher=True),
        ),
        Claim(
            "fig11-layer-accuracy",
            "In the toy CNN, layer-wise noise raises the final test accuracy.",
            "Fig. 11",
            compared("fig11", "accuracy", "layer-wise", "none", higher=True),
        ),
        Claim(
            "fig11-layer-trace",
            "In the toy CNN, layer-wise noise lowers the trace of the Hessian.",
            "Fig. 11",
            compared("fig11", "trace", "layer-wise", "none", higher=False),
        ),
        Claim(
            "fig12-ahead",
            "In the wide CNN, the final test loss is lower with layer-wise noise than with noise "
            "on all layers.",
            "Fig. 12",
            compared("fig12", "test_loss", "layer-wise", "all layers", higher=False),
        ),
        Claim(
            "fig12-layer-accuracy",
            "In the wide CNN, layer-wise noise raises the final test accuracy.",
            "Fig. 5, 12",
            compared("fig12", "accuracy", "layer-wise", "none", higher=True),
        ),
        Claim(
            "fig12-steadier",
            "In the wide CNN, layer-wise noise dampens the variation of the trace along training.",
            "Fig. 12",
            steadier("fig12", "layer-wise", "none"),
        ),
    ),
)
