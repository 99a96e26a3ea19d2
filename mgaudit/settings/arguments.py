"""The arguments of commands: help, default and range of each setting that a command takes.

The command line makes its options from them, and the settings take their defaults and ranges from
them. This module is light, because the help of every command reads it.
"""

from collections.abc import Iterable
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.limits import DIRECTIONS as DIRECTIONS_LIMIT
from mgaudit.limits import MODELS as MODELS_LIMIT
from mgaudit.limits import REPEATED_RUNS as REPEATED_RUNS_LIMIT
from mgaudit.limits import TRIALS as TRIALS_LIMIT
from mgaudit.targets.ranges import Range, range_in
from mgaudit.targets.training import Help, Training, choices

RUNS = Path("runs")  # the directory of run directories, where the user names no other


@dataclass(frozen=True)
class Argument:
    """A setting that a command takes: its type, its help text, and its possible values.

    Args:
        name: The name of the option without dashes, with "_" between words.
        kind: The type of one value: bool, int, float, str or Path.
        group: The group of options in a command's help.
        text: The help, without its range and default.
        default: Value in the settings where neither the user nor a file gives one.
        default_text: Words for a default that is not self-explanatory, such as None.
        limits: Range of a number.
        values: All possible values, if there are few; otherwise empty.
        several: Whether the option may be repeated.
        names: The list of `mgaudit list` with the values, such as "datasets", for shell completion.
        bare: The value of an option that is given without one; "" for an option that needs one.
        only_on: Whether a switch has no option that turns it off.
    """

    name: str
    kind: type
    group: str
    text: str
    default: Any = None
    default_text: str = ""
    limits: Range | None = None
    values: tuple[str, ...] = ()
    several: bool = False
    names: str = ""
    bare: str = ""
    only_on: bool = False

    @property
    def help(self) -> str:
        """The help with the range and the default, "Examples per step (>= 1; default: 64)."."""
        facts = [] if self.limits is None else [str(self.limits)]
        default = self.default_shown
        if default:
            facts.append(f"default: {default}")
        text = f"{self.text}: {', '.join(self.values)}" if self.values else self.text
        return f"{text} ({'; '.join(facts)})." if facts else f"{text}."

    @property
    def default_shown(self) -> str:
        """The default as the help states it; "" where there is none."""
        if self.default_text:
            return self.default_text
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        if isinstance(self.default, tuple):
            return ", ".join(self.default)
        return "" if self.default is None else str(self.default)


# The groups of options in a command's help.
NOISE = "Noise"
DATA = "Data"
NETWORK = "Network"
ATTACKS = "Attacks"
TRAINING = "Training"
MACHINE = "Machine"
OUTPUT = "Output"

DATASET = Argument(
    "dataset",
    str,
    DATA,
    "Dataset, as in folder:PATH; see `mgaudit list datasets`",
    default="digits",
    names="datasets",
)
TARGET = Argument(
    "target",
    str,
    NETWORK,
    "Network to train, as in mlp:hidden=512x256; see `mgaudit list targets`",
    default="cnn",
    names="targets",
)
KAPPA = Argument(
    "kappa",
    float,
    NOISE,
    "Strength of the Gaussian mask N(1, κ²)",
    default=0.3,
    limits=Range(0),
)
SCHEME = Argument(
    "scheme",
    str,
    NOISE,
    "Noise to audit, as in dropout:rate=0.2",
    names="schemes",
)
PLAIN = Argument("plain", bool, NOISE, "Add an arm without noise", default=True)
DP = Argument("dp", bool, NOISE, "Also audit DP-SGD", default=True)
EPSILON = Argument("epsilon", float, NOISE, "ε of DP-SGD", default=8.0, default_text="8")
DELTA = Argument("delta", float, NOISE, "δ of DP-SGD", default_text="1/members^1.1")
TRIALS = 16  # of a search for which the user names no number
TUNE_DP = Argument(
    "tune_dp",
    int,
    NOISE,
    f"Tune DP-SGD, N = {TRIALS}",
    limits=Range(1, TRIALS_LIMIT.most),
    bare=str(TRIALS),
)
TUNE = Argument("tune", str, NOISE, "Arms to tune", values=("dp", "all"))
ATTACK = Argument(
    "attack",
    str,
    ATTACKS,
    "Attack, as in lira:online=false; repeatable; see `mgaudit list attacks`",
    default=("stacked", "rmia", "lira", "loss"),
    several=True,
    names="attacks",
)
QUERIES = Argument(
    "queries",
    str,
    ATTACKS,
    "How each model is queried, as in crops:8; see `mgaudit list queries`",
    default="plain",
    names="queries",
)
MODELS = Argument(
    "models",
    int,
    DATA,
    "Models per arm",
    default=16,
    limits=Range(FEWEST_MODELS, MODELS_LIMIT.most),
)
EXAMPLES = Argument(
    "examples", int, DATA, "Examples to audit", default_text="all", limits=Range(50)
)
STACK = Argument("stack", str, MACHINE, "Models trained together, or auto", default="auto")
DUPLICATES = Argument(
    "duplicates",
    str,
    DATA,
    "Coins of exact copies of an example",
    default="together",
    values=("together", "apart"),
)
SEED = Argument("seed", int, DATA, "Random seed", default=0, limits=Range(0))
DEVICE = Argument("device", str, MACHINE, "Device", default="auto", values=("auto", "cpu", "cuda"))
SETTINGS = Argument("settings", Path, OUTPUT, "Start from the settings.toml of a run")
ALLOW_CODE = Argument(
    "allow_code", bool, OUTPUT, "Run own code that files name", default=False, only_on=True
)
JOBS = Argument(
    "jobs",
    int,
    MACHINE,
    "Processes",
    default_text="one per core, 1 on a GPU",
    limits=Range(1),
)
CLUSTER = Argument("cluster", str, MACHINE, "Dask scheduler, as in tcp://host:8786; local:4")

SCHEMES = Argument(
    "scheme",
    str,
    NOISE,
    "Noise, as in dropout:rate=0.2; repeatable",
    several=True,
    names="schemes",
)
TARGETS = Argument(
    "target",
    str,
    NETWORK,
    "Network to train; repeatable; see `mgaudit list targets`",
    default=(TARGET.default,),
    several=True,
    names="targets",
)
DATASETS = Argument(
    "dataset",
    str,
    DATA,
    "Dataset; repeatable; see `mgaudit list datasets`",
    default=(DATASET.default,),
    several=True,
    names="datasets",
)
SEEDS = Argument(
    "seed",
    int,
    DATA,
    "Random seed; repeatable",
    default=(SEED.default,),
    default_text="0",
    limits=SEED.limits,
    several=True,
)

# 100 guesses about 500 canaries can prove more than an ε of 2.
AUDITED_EPSILON = Argument("epsilon", float, NOISE, "ε of DP-SGD", default=2.0, default_text="2")
AUDITED = Argument(
    "scheme",
    str,
    NOISE,
    "What to audit; see `mgaudit list schemes`",
    default=f"dp-sgd:epsilon={AUDITED_EPSILON.default:g}",
    names="schemes",
)
CANARIES = Argument(
    "canaries",
    int,
    ATTACKS,
    "one-run: examples included by a fair coin",
    default=500,
    limits=Range(20),
)
POOL_CANARIES = Argument("canaries", str, ATTACKS, "Canaries in all arms, as in mislabelled:100")
KIND = Argument(
    "kind",
    str,
    ATTACKS,
    "one-run: canaries",
    default="mislabelled",
    values=("natural", "mislabelled"),
)
GUESSES = Argument(
    "guesses",
    float,
    ATTACKS,
    "one-run: fraction of the canaries guessed in, and out",
    default=0.1,
    limits=Range(0, 0.5, low_open=True),
)
ADVERSARY = Argument(
    "adversary",
    str,
    ATTACKS,
    "Who sees one run, every step, or many runs",
    default="one-run",
    values=("one-run", "white-box", "repeated"),
)
REPEATED_RUNS = Argument(
    "runs",
    int,
    ATTACKS,
    "repeated: trainings with a canary, and as many without",
    default=200,
    limits=Range(20, REPEATED_RUNS_LIMIT.most),
)
DIRECTIONS = Argument(
    "directions",
    int,
    ATTACKS,
    "white-box: canaries in each step",
    default=64,
    limits=Range(1, DIRECTIONS_LIMIT.most),
)
SIGNIFICANCE = Argument(
    "significance",
    float,
    ATTACKS,
    "Probability that a bound is wrong",
    default=0.05,
    limits=Range(0, 0.5, low_open=True, high_open=True),
)
LAST_ITERATE = Argument(
    "last_iterate",
    bool,
    ATTACKS,
    "Add the last-iterate heuristic for ε, no bound",
    default=False,
    only_on=True,
)
# The smallest effects that matter in the verdict: settings of files and Python, not options.
SMALLEST_AUC_DIFFERENCE = Argument(
    "smallest_auc_difference",
    float,
    ATTACKS,
    "Smallest difference in AUC that matters",
    default=0.02,
    limits=Range(0, 0.5, low_open=True, high_open=True),
)
SMALLEST_TPR_CHANGE = Argument(
    "smallest_tpr_change",
    float,
    ATTACKS,
    "Smallest change of the TPR that matters, as a fraction of the plain arm's TPR",
    default=0.2,
    limits=Range(0, 1, low_open=True, high_open=True),
)
TRAINING_RUNS = Argument(
    "models", int, DATA, "Models to train", default=1, limits=Range(1, MODELS_LIMIT.most)
)
EXAMPLES_WITH_CANARIES = Argument(
    "examples",
    int,
    DATA,
    "Examples, canaries among them",
    default_text="all",
    limits=EXAMPLES.limits,
)


FIT = Argument("fit", str, NETWORK, "Own training function, as module:function")
OUTPUTS = Argument(
    "outputs",
    str,
    DATA,
    "What the outputs of the models are",
    default="logits",
    values=("logits", "probabilities", "confidences"),
)
CLIP = Argument(
    "clip",
    float,
    DATA,
    "Least probability, where outputs are probabilities",
    default=1e-6,
    limits=Range(0, 0.5, low_open=True, high_open=True),
)
ATTACKED = Argument(
    "target",
    int,
    ATTACKS,
    "Number of an attacked model, from 0; repeatable",
    default_text="each model in turn",
    several=True,
)
ATTACK_OUTPUTS = replace(
    ATTACK, default_text="stacked, rmia, lira and loss, as far as the outputs allow them"
)

MEMBERS = Argument(
    "members",
    str,
    DATA,
    "Examples that it was trained on: a range such as 0:600, or a .npy, .txt or .csv file",
)
NON_MEMBERS = Argument(
    "non_members",
    str,
    DATA,
    "Examples that it was not trained on",
    default_text="all others",
)
CHECKPOINT_INPUTS = Argument(
    "inputs",
    str,
    NETWORK,
    "Inputs that the checkpoint was trained on",
    default="standardised",
    values=("standardised", "raw"),
)
SHADOW_SCHEME = replace(
    SCHEME,
    text="Noise that the checkpoint was trained with, as in dropout:rate=0.2",
    default="none",
)
SHADOW_KAPPA = replace(KAPPA, text="Gaussian mask N(1, κ²) as the scheme", default=None)
SHADOW_MODELS = replace(MODELS, text="Shadow models to train")


def plain_type(hint: Any) -> type:
    """Returns the type that the command line reads for a setting with the type `hint`.

    It is the first of bool, int and float that occurs in the hint, and str without one of them.
    """
    parts = [hint]
    for part in get_args(hint):
        parts += [part, *get_args(part)]
    return next((kind for kind in (bool, int, float) if kind in parts), str)


def training_argument(field: "Field[Any]") -> Argument | None:
    """Returns the argument of a field of `Training`.

    Returns None for a field without a `Help`, which only a settings file can change.
    """
    described = next((part for part in get_args(field.type) if isinstance(part, Help)), None)
    if described is None:
        return None
    return Argument(
        field.name,
        plain_type(field.type),
        TRAINING,
        described.text,
        default=field.default,
        default_text=described.default,
        limits=range_in(field.type),
        values=choices(field.type),
    )


def _training_arguments(left_out: Iterable[str] = ()) -> tuple[Argument, ...]:
    """Returns the arguments of all training settings but those `left_out`, by name."""
    arguments = (training_argument(field) for field in fields(Training))
    return tuple(
        argument for argument in arguments if argument is not None and argument.name not in left_out
    )


# The help of a command shows the groups in the order of their first argument.
RUN = (
    KAPPA,
    SCHEME,
    PLAIN,
    DP,
    EPSILON,
    DELTA,
    TUNE_DP,
    TUNE,
    DATASET,
    EXAMPLES,
    DUPLICATES,
    MODELS,
    SEED,
    TARGET,
    FIT,
    ATTACK,
    QUERIES,
    POOL_CANARIES,
    *_training_arguments(),
    STACK,
    DEVICE,
    JOBS,
    CLUSTER,
    SETTINGS,
    ALLOW_CODE,
)
COMPARE = (
    SCHEMES,
    TUNE_DP,
    TUNE,
    DATASETS,
    EXAMPLES,
    DUPLICATES,
    MODELS,
    SEEDS,
    TARGETS,
    ATTACK,
    QUERIES,
    POOL_CANARIES,
    *_training_arguments(),
    STACK,
    DEVICE,
    JOBS,
    CLUSTER,
    ALLOW_CODE,
)
# DP-SGD trains one model on all of its examples, so an audit of it has no clients.
AUDIT_DP = (
    AUDITED,
    AUDITED_EPSILON,
    DELTA,
    DATASET,
    EXAMPLES_WITH_CANARIES,
    TRAINING_RUNS,
    SEED,
    TARGET,
    ADVERSARY,
    DIRECTIONS,
    REPEATED_RUNS,
    CANARIES,
    KIND,
    GUESSES,
    SIGNIFICANCE,
    LAST_ITERATE,
    *_training_arguments(left_out=("clients", "local_steps")),
    STACK,
    DEVICE,
    JOBS,
    SETTINGS,
    ALLOW_CODE,
)
AUDIT_CHECKPOINT = (
    MEMBERS,
    NON_MEMBERS,
    DATASET,
    DUPLICATES,
    SHADOW_MODELS,
    SEED,
    TARGET,
    CHECKPOINT_INPUTS,
    SHADOW_SCHEME,
    SHADOW_KAPPA,
    ATTACK,
    QUERIES,
    *_training_arguments(),
    STACK,
    DEVICE,
    JOBS,
    SETTINGS,
    ALLOW_CODE,
)
ATTACK_AGAIN = (
    replace(ATTACK, default=None),
    replace(QUERIES, default=None, default_text="as in the run"),
    ALLOW_CODE,
)
SCORED = replace(OUTPUTS, default=None, default_text="as in the file, or else logits")
SCORE = (SCORED, CLIP, ATTACKED, ATTACK_OUTPUTS, SEED)
PAPER_IMAGES = replace(
    DATASET,
    text="Images that replace those in the settings, as in folder:PATH",
    default=None,
)
REPRODUCE = (PAPER_IMAGES, DEVICE, JOBS)
