"""The contract of a network, checked once before any training.

The contract is a list of rules, such as: the seed determines the weights. A network that breaks a
rule could be trained and attacked, but the results would be wrong. The same check measures the
traits of a network, such as BatchNorm, which determine how it is trained.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from mgaudit.errors import UsageError
from mgaudit.targets.fitting.recipe import Target, initial_model
from mgaudit.targets.fitting.stack import ModelStack, without_vmap_warnings
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.global_random import refuse_global_draws
from mgaudit.targets.limits import WEIGHTS
from mgaudit.targets.network_output import logits_of, refuse_probabilities, require_logits
from mgaudit.targets.network_weights import (
    check_gradients,
    check_weights,
    is_same,
    is_same_state,
    unused_weights,
)
from mgaudit.targets.networks.network import Network
from mgaudit.targets.own_module import RAISED, error_line, short_error_line
from mgaudit.targets.querying.gradients import gradient_norms, gradient_norms_one_by_one
from mgaudit.targets.seeds import default_generators_seeded, torch_generator
from mgaudit.targets.stacked_gradients import (
    has_gradient_hooks,
    proportional_gradients,
    same_gradients,
)

# Bytes: three models in the check; in training the weights, gradients, momentum and a copy.
MEMORY_OF_A_WEIGHT = 16
NETWORK = nn.Module  # the base class of a target
EXAMPLES = 4
WRAPPED = (torch.jit.ScriptModule, nn.DataParallel, nn.parallel.DistributedDataParallel)
MOST_VALUES = 2**20  # of the inputs of a trial batch
MOST_SECONDS = 2.0  # of the trial of a batch, as expected from a smaller batch
OWN_DRAWS = (
    "must draw random numbers from torch's generator and no other",
    "use torch.rand, torch.randn or torch.randperm, or --scheme for noise that is to be audited",
)
# Of a difference, relative to the largest value. float32 sums in another order differ by less; the
# effect of other examples in a batch is larger.
TOLERANCE = 1e-3
LARGEST_BLOCK = 16  # channels that oneDNN processes at once, at most


def check_target(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> Traits:
    """Builds the network, checks its contract and returns its traits.

    The rules are those of `network_traits` and the following. The network can be built for these
    data and has trainable weights. Its initial weights are drawn from torch's default generator,
    which is seeded. A model is the same after its state_dict is loaded into another model.

    Args:
        name: Name of the target in errors.
        target: Builds the network from (input_shape, classes).
        input_shape: Shape of one example.
        classes: Number of classes.

    Raises:
        UsageError: Where the network breaks the contract; the message begins with the target's
            name.
    """
    key = f"target {name}"

    def build(seed: int) -> nn.Module:
        """Returns a new network whose initial weights are drawn with `seed`."""
        dtype = torch.get_default_dtype()
        try:
            return initial_model(target, input_shape, classes, seed)
        except UsageError:  # the network itself refuses its options or the data
            raise
        except RAISED as error:
            rule = (
                f"cannot be built for input_shape={input_shape} and classes={classes}: "
                f"{error_line(error)}"
            )
            raise UsageError("", rule, None, "change its options or the data") from error
        finally:
            _restore_default_dtype(dtype)

    try:
        _refuse_large(target, input_shape, classes)
        model = build(0)
        _require_plain_module(model)
        other = build(1)
        check_weights(model, build(0))
        same_start = is_same_state(model.state_dict(), other.state_dict())
        traits = network_traits(model, input_shape, classes)
        check_gradients(model, _drawn(input_shape), classes)
        if traits.per_example and has_gradient_hooks(model, _drawn(input_shape), classes):
            traits = replace(traits, hooks_gradients=True)
        _check_state_dict(model, other, _drawn(input_shape))
    except UsageError as error:
        if error.key.startswith("target "):  # of the builder, which names the target itself
            raise
        raise error.inside(key) from error
    return replace(traits, same_start=same_start)


def _refuse_large(target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Raises UsageError for a built-in network with too many weights, before they are drawn.

    Only built-in networks are known to be built without memory, on torch's device "meta".
    """
    built = getattr(target, "build", target)  # of a choice of the settings
    if not (isinstance(built, type) and issubclass(built, Network)):
        return
    if not built.__module__.startswith(f"{__name__.rpartition('.')[0]}."):
        return
    with torch.device("meta"), default_generators_seeded(0):
        model = target(input_shape, classes)
    count = sum(weights.numel() for weights in model.state_dict().values())
    WEIGHTS.check("", count)
    what = f"{count:,} weights"
    check_memory("", MEMORY_OF_A_WEIGHT * count, what, WEIGHTS.way_out)


def _restore_default_dtype(dtype: torch.dtype) -> None:
    """Restores torch's default dtype. Raises UsageError where a constructor has changed it."""
    changed = torch.get_default_dtype()
    if changed != dtype:
        torch.set_default_dtype(dtype)
        rule = "must not change torch's default dtype"
        way_out = "remove torch.set_default_dtype, and build it with float32 weights"
        raise UsageError("", rule, str(changed), way_out)


def _require_plain_module(model: object) -> None:
    """Raises UsageError for what is no module, or a module that torch has wrapped or compiled."""
    kind = type(model).__name__
    if not isinstance(model, NETWORK):
        raise UsageError("", "must return a torch.nn.Module", kind)
    if isinstance(model, WRAPPED):
        raise UsageError("", "must not be compiled or wrapped", kind, "return the plain module")


def network_traits(model: nn.Module, input_shape: tuple[int, ...], classes: int) -> Traits:
    """Checks the logits of a network and returns what it does in training mode.

    In both modes, logits are finite, (batch, classes), no probabilities, and determined by the seed
    of torch's default generator. The network changes neither its inputs nor its weights. At
    evaluation, the logits of an example depend on nothing but the example, and the network keeps
    its buffers. In training, they may depend on the rest of the batch (BatchNorm) and on random
    numbers (dropout).

    `model` has trained on one batch afterwards, and is in evaluation mode.

    Raises:
        UsageError: Where `model` breaks one of these rules.
    """
    zeros, x = torch.zeros(2, *input_shape), _drawn(input_shape)
    model.train()
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    require_logits("2 examples of zeros", _trial(model, zeros).logits, (2, classes))
    _refuse_changed_weights(model, weights)
    trial = _trial(model, x)
    require_logits(f"{EXAMPLES} standard normal examples", trial.logits, (EXAMPLES, classes))
    if not _equal(trial.logits, _trial(model, x).logits):
        rule = "must return identical logits for identical inputs and seeds in training mode"
        raise UsageError("", rule, None, "draw random numbers from torch's generator and no other")
    mixes_examples = _mixes_examples(model, x, trial)
    layout = [(name, tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()]
    logits_of(model, x)  # as a step of training: the buffers stay as it leaves them
    after = [(name, tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()]
    if after != layout:
        raise UsageError("", "must keep the shapes and dtypes of its buffers in training")
    with _restored_buffers(model), default_generators_seeded(0):
        refuse_probabilities(model, x, trial.logits)
    logits_at_evaluation = _logits_at_evaluation(model, x, classes)
    refuse_probabilities(model, x, logits_at_evaluation)
    traits = Traits(
        mixes_examples,
        keeps_state=bool(trial.changed_buffers),
        draws=trial.draws,
        same_at_evaluation=_equal(trial.logits, logits_at_evaluation),
        channels_last=_accepts_channels_last(model, x, logits_at_evaluation),
    )
    _refuse_changed_weights(model, weights)
    layers, has_norm = _layers(model, traits)
    buffers = () if has_norm else tuple(trial.changed_buffers)
    return replace(traits, layers=layers, buffers=buffers)


def check_device(
    name: str, target: Target, input_shape: tuple[int, ...], classes: int, device: str
) -> None:
    """Raises UsageError where the network cannot be trained on `device`, such as "cuda".

    The other arguments are those of `check_target`, which uses the CPU.
    """
    model = initial_model(target, input_shape, classes, seed=0)
    try:
        check_gradients(model.to(device), _drawn(input_shape).to(device), classes)
    except UsageError as error:
        way_out = "register tensors as buffers, or create them on the device of the inputs"
        raise UsageError(f"target {name}", f"{error.rule}, on {device}", None, way_out) from error


def check_private(name: str, traits: Traits) -> None:
    """Raises UsageError for a network that DP-SGD cannot train, as its `traits` show."""
    if not traits.per_example:
        rule = "must compute each example by itself for DP-SGD, which clips its gradient"
        way_out = f"{traits.way_out}, or leave DP-SGD out (--no-dp, or --scheme none with audit-dp)"
        raise UsageError(f"target {name}", rule, traits.cause, way_out)


def check_per_example_gradients(
    name: str, target: Target, input_shape: tuple[int, ...], classes: int
) -> None:
    """Checks that the norms of the network's per-example gradients are computed correctly.

    DP-SGD clips by these norms, so its epsilon is wrong if the norms are wrong. The arguments are
    those of `check_target`.

    Raises:
        UsageError: Where the norms differ from norms of gradients that are computed one by one.
    """
    model = initial_model(target, input_shape, classes, seed=0)
    x, labels = _drawn(input_shape), torch.arange(EXAMPLES) % classes
    unused = unused_weights(model, x, classes)
    if unused:
        rule = "must use all its trainable weights, because DP-SGD and gradient attacks need them"
        way_out = "remove these layers, or set requires_grad=False for them"
        raise UsageError(f"target {name}", rule, f"{', '.join(unused)} without use", way_out)
    if not proportional_gradients(model, x, classes):
        rule = "must have gradients in proportion to the loss, which DP-SGD scales to clip them"
        way_out = "remove what clips gradients in backward, or leave DP-SGD out with --no-dp"
        raise UsageError(f"target {name}", rule, None, way_out)
    try:
        with without_vmap_warnings():  # Opacus uses vmap for layers that it does not know
            norms = torch.from_numpy(gradient_norms(model, x.numpy(), labels.numpy(), "cpu"))
    except RAISED as error:  # Opacus raises many kinds of errors for unsupported layers
        reason = _unsupported_layers(model) or short_error_line(error)
        rule = (
            f"cannot have per-example gradients, which DP-SGD and gradient attacks need: {reason}"
        )
        raise UsageError(
            f"target {name}", rule, None, "use other layers, or leave DP-SGD out with --no-dp"
        ) from error
    of_each = gradient_norms_one_by_one(model.train(), x.numpy(), labels.numpy(), "cpu")
    expected = torch.from_numpy(of_each)
    if not _equal(norms, expected):
        error_of_norms = float((norms / expected - 1).abs().max())
        raise UsageError(
            f"target {name}",
            "must have per-example gradients whose norms are computed correctly, "
            "because DP-SGD clips by them",
            f"an error of up to {error_of_norms:.2g} of the norm",
            "build the network from plain layers, each used once, or leave DP-SGD out with --no-dp",
        )


def _unsupported_layers(model: nn.Module) -> str:
    """Returns the layers whose gradient norms Opacus did not compute, or "" if there are none.

    Opacus, which failed, keeps the norms in an attribute of the weights.
    """
    layers: dict[str, str] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad and getattr(weight, "_norm_sample", None) is None:
            layer = name.rpartition(".")[0]
            kind = type(model.get_submodule(layer)).__name__
            layers[layer] = f"{kind} at {layer or 'the top'}"
    some_computed = any(hasattr(weight, "_norm_sample") for weight in model.parameters())
    if not some_computed or not layers:
        return ""
    return f"Opacus does not support {' and '.join(layers.values())}"


def check_batch_sizes(
    name: str,
    target: Target,
    input_shape: tuple[int, ...],
    classes: int,
    training: int,
    queries: int,
) -> None:
    """Checks that the network accepts batches as large as those of training and of queries.

    Batches are of zeros. Their size is limited by MOST_VALUES, and that of queries is tried only if
    it is expected to take at most MOST_SECONDS.

    Args:
        name, target, input_shape, classes: As for `check_target`.
        training: Number of examples of a batch in training.
        queries: Number of examples of a batch at evaluation.

    Raises:
        UsageError: Where the network fails for one of these batches.
    """
    model = initial_model(target, input_shape, classes, seed=0)
    most = max(EXAMPLES, MOST_VALUES // math.prod(input_shape))
    sizes = (min(training, most), min(queries, most))
    try:
        started = time.perf_counter()
        _check_batch(model.train(), torch.zeros(sizes[0], *input_shape), classes)
        seconds = time.perf_counter() - started
        if seconds * sizes[1] / sizes[0] <= MOST_SECONDS:
            _check_batch(model.eval(), torch.zeros(sizes[1], *input_shape), classes)
    except UsageError as error:
        failed = error.__cause__ is not None  # smaller batches are accepted
        way_out = "accept batches of any size in forward" if failed else error.way_out
        raise UsageError(f"target {name}", error.rule, error.value, way_out) from error


def _check_batch(model: nn.Module, x: Tensor, classes: int) -> None:
    """Raises UsageError unless `model` has logits for all of `x` (batch, *input_shape)."""
    logits = _trial(model, x).logits
    require_logits(f"{len(x)} examples of zeros", logits, (len(x), classes))


def check_stack(
    name: str,
    target: Target,
    input_shape: tuple[int, ...],
    classes: int,
    channels_last: bool = True,
) -> None:
    """Checks that models of the network have the same logits and gradients in a stack as alone.

    A stack is several models that are trained together by vectorised operations. `channels_last` is
    that of the network's traits: how images are stored in training. The other arguments are those
    of `check_target`.

    Raises:
        UsageError: Where logits or gradients differ, or the models cannot be stacked.
    """
    models = [initial_model(target, input_shape, classes, seed) for seed in (0, 1)]
    x = _drawn(input_shape)
    if x.ndim == 4 and channels_last:
        x = x.to(memory_format=torch.channels_last)
    try:
        stack = ModelStack(models)
        with without_vmap_warnings():
            together = stack.logits(stack.weights, torch.stack([x, x]), None)
        same = same_gradients(models, x, classes)
    except RAISED as error:  # torch raises many kinds of errors for what vmap does not support
        rule = f"cannot be trained in a stack: {short_error_line(error)}"
        raise UsageError(f"target {name}", rule, None, "use --stack 1") from error
    alone = torch.stack([logits_of(model, x) for model in models])
    if not _equal(together.detach(), alone):
        rule = "must return the same logits in a stack as alone"
        raise UsageError(f"target {name}", rule, None, "use --stack 1")
    if not same:
        rule = "must have the same gradients in a stack as alone, where hooks have no effect"
        raise UsageError(f"target {name}", rule, None, "use --stack 1")


def _check_state_dict(model: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Raises UsageError where the state_dict does not determine a model.

    `other` was built with another seed. `x` are examples (batch, *input_shape).
    """
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        with torch.no_grad():
            loaded = functional_call(other.eval(), state, (x,))
    except RAISED as error:  # torch raises several kinds of errors for tied weights
        rule = f"must accept weights that are loaded by name, but fails: {error_line(error)}"
        raise UsageError("", rule) from error
    if not _equal(loaded, logits_of(model.eval(), x)):
        rule = "must be the same model after its state_dict was saved and loaded"
        way_out = "keep what is drawn in __init__ or changed in training in a persistent buffer"
        raise UsageError("", rule, None, way_out)


@dataclass(frozen=True)
class _Trial:
    """The logits of one evaluation, whether it drew random numbers, and the buffers it changed."""

    logits: Tensor
    draws: bool
    changed_buffers: list[str]


def _trial(model: nn.Module, x: Tensor, seed: int = 0) -> _Trial:
    """Evaluates `model` for `x` (batch, *input_shape) in its mode, and restores its buffers.

    `seed` is that of the random numbers that its layers draw.
    """
    with _restored_buffers(model) as before:
        with default_generators_seeded(seed, x.device), refuse_global_draws(*OWN_DRAWS):
            state = torch.get_rng_state()
            logits = logits_of(model, x)
            draws = not torch.equal(state, torch.get_rng_state())
        after = dict(model.named_buffers())
        changed_buffers = [
            name
            for name, buffer in before.items()
            if name not in after or not is_same(buffer, after[name])
        ]
    return _Trial(logits, draws, changed_buffers)


@contextmanager
def _restored_buffers(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Yields copies of the buffers of `model` by name, and restores the buffers at the end."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield before
    finally:
        for name, buffer in before.items():
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, buffer)


def _mixes_examples(model: nn.Module, x: Tensor, trial: _Trial) -> bool:
    """Returns whether the logits of an example depend on the rest of its batch, in this mode.

    `trial` is that of `x` (EXAMPLES, *input_shape). A network that draws random numbers is queried
    with batches of one size only, because the numbers of an example depend on it.
    """
    others = torch.cat([x[:1], 2 * x[1:].flip(0)])
    logits_of_others = _trial(model, others).logits
    classes = trial.logits.shape[1]
    require_logits("examples of twice the size", logits_of_others, (EXAMPLES, classes))
    if not _equal(trial.logits[:1], logits_of_others[:1]):
        return True
    if trial.draws:
        return False
    alone = [_trial(model, example).logits for example in torch.split(x, 1)]
    require_logits("1 example", alone[0], (1, classes))
    return not _equal(trial.logits, torch.cat(alone))


def _logits_at_evaluation(model: nn.Module, x: Tensor, classes: int) -> Tensor:
    """Returns the logits of `x` (EXAMPLES, *input_shape) in evaluation mode, which `model` keeps.

    Raises UsageError where they depend on anything but the example.
    """
    trial, again = (_trial(model.eval(), x, seed) for seed in (0, 1))
    require_logits("examples at evaluation", trial.logits, (EXAMPLES, classes))
    if trial.draws or not _equal(trial.logits, again.logits):
        rule = "must return identical logits for identical inputs at evaluation"
        way_out = "turn dropout off there (training=self.training), and use --scheme for noise"
        raise UsageError("", rule, None, way_out)
    if trial.changed_buffers:
        way_out = "change buffers only if self.training"
        value = ", ".join(trial.changed_buffers)
        raise UsageError("", "must not change its buffers at evaluation", value, way_out)
    if _mixes_examples(model, x, trial):
        rule = "must return the same logits for an example alone and in a batch, at evaluation"
        way_out = (
            "use no statistics of the batch there (BatchNorm with track_running_stats=True), or "
            "batch_first=True for recurrent layers and attention"
        )
        raise UsageError("", rule, None, way_out)
    return trial.logits


def _accepts_channels_last(model: nn.Module, x: Tensor, logits: Tensor) -> bool:
    """Returns whether images may have their channels as the last axis in memory.

    `view` after a convolution raises then. `logits` are those of `x` at evaluation, where the
    network stays. True for examples that are not images.
    """
    if x.ndim != 4:
        return True
    if any(_is_narrow_projection(module) for module in model.modules()):
        return False
    images = x.to(memory_format=torch.channels_last)
    try:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with _restored_buffers(model):
            check_gradients(model, images, logits.shape[1])
        return _equal(logits, _trial(model.eval(), images).logits)
    except RAISED:  # torch raises several kinds of errors for a layout that does not fit
        return False
    finally:
        model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def _is_narrow_projection(module: nn.Module) -> bool:
    """Returns whether oneDNN computes a wrong gradient of this layer with the channels last.

    It writes outside of its memory for 1x1 convolutions with a stride and fewer input channels than
    a block of 8 (AVX2) or 16 (AVX-512) has (oneDNN issue 6035).
    """
    if not isinstance(module, nn.Conv2d):
        return False
    is_projection = module.kernel_size == (1, 1) and module.stride != (1, 1)
    return is_projection and module.in_channels // module.groups < LARGEST_BLOCK


def _layers(model: nn.Module, traits: Traits) -> tuple[str, bool]:
    """Returns the first layers that give the network its traits, "BatchNorm1d at layers.2".

    The second value is whether one of them is a layer with running statistics, such as BatchNorm.
    """
    layers = []
    for name, module in model.named_modules():
        is_norm = isinstance(module, _BatchNorm) or getattr(module, "track_running_stats", False)
        is_dropout = isinstance(module, _DropoutNd) and module.p > 0
        if is_norm and (traits.mixes_examples or traits.keeps_state):
            layers.append((0, f"{type(module).__name__} at {name or 'the top'}"))
        elif is_dropout and traits.draws:
            layers.append((1, f"{type(module).__name__} at {name or 'the top'}"))
    first_of_kind = dict(reversed(layers))
    words = " and ".join(first_of_kind[kind] for kind in sorted(first_of_kind))
    return words, 0 in first_of_kind


def _refuse_changed_weights(model: nn.Module, before: Mapping[str, Tensor]) -> None:
    """Raises UsageError where `forward` has changed weights or has created some.

    `before` are the weights by name.
    """
    for name, weight in model.named_parameters():
        if name not in before:
            way_out = "create them in __init__, or use layers such as torch.nn.LazyLinear"
            raise UsageError("", "must not create weights in forward", name, way_out)
        if not is_same(weight.detach(), before[name]):
            way_out = "leave the change of weights to training, which follows the gradients"
            raise UsageError("", "must not change its weights in forward", name, way_out)


def _drawn(input_shape: tuple[int, ...]) -> Tensor:
    """Returns standard normal examples (EXAMPLES, *input_shape), always the same."""
    generator = torch_generator(0, "contract")
    return torch.randn(EXAMPLES, *input_shape, generator=generator)


def _equal(first: Tensor, second: Tensor) -> bool:
    """Returns whether shapes are equal and values equal up to TOLERANCE; False for NaN."""
    if first.shape != second.shape:
        return False
    difference = (first - second).abs().max()
    return bool(difference <= TOLERANCE * first.abs().max())
