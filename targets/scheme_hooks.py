"""The hooks of a noise scheme, called on a few examples before anything is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.global_random import refuse_global_draws
from mgaudit.targets.network_weights import is_same
from mgaudit.targets.own_module import RAISED, error_line_with_place
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import default_generators_seeded, torch_generator
from mgaudit.targets.training import Training

HOOKS = ("training", "extend", "inputs", "labels", "node_values", "weight_noise")
MOST_EXAMPLES = 256  # of a trial
MOMENTS = ((0, 0.0), (1, 0.0), (1000, 10.0))  # steps and epochs of trials of weight noise
DRAWS = "must draw from the given generator and from nothing else"
OTHER_VALUES = "other values from a generator in the same state"
OWN_SEED = "the same noise from generators in other states"
WAY_OUT = "pass the argument generator to each draw, as in x.normal_(generator=generator)"
Result = TypeVar("Result")


@dataclass(frozen=True)
class HookTrial:
    """What the hooks of a scheme are called with.

    Args:
        inputs: Examples (examples, *input_shape), at least 2, as a batch of training stores them.
        labels: Class numbers (labels,), int64, of these or of more examples.
        classes: Number of classes.
        build: Returns a new network with the same weights at each call.
        training: The settings before the scheme changes them.
        private: Whether DP-SGD trains the models. Noise then must not depend on other examples.
    """

    inputs: Tensor
    labels: Tensor
    classes: int
    build: Callable[[], nn.Module]
    training: Training
    private: bool = False


def hook_trial(
    dataset: Dataset,
    build: Callable[[], nn.Module],
    training: Training,
    device: str,
    private: bool,
    traits: Traits,
) -> HookTrial:
    """Returns the trial on the first examples of a standardised dataset, on `device`.

    `traits` are those of the network. The other arguments are as in `HookTrial`.
    """
    count = min(max(training.batch_size, 2), MOST_EXAMPLES)
    inputs = torch.from_numpy(dataset.inputs[:count]).to(device)
    if inputs.ndim == 4 and not private and traits.channels_last:
        inputs = inputs.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(dataset.labels).to(device)
    return HookTrial(
        inputs, labels, len(dataset.classes), lambda: build().to(device), training, private
    )


def refuse_without_hook(scheme: Scheme) -> None:
    """Raises UsageError for a scheme of the user's own, which is no composition, without a hook.

    Such a scheme adds no noise. A hook whose name is misspelled is named.
    """
    if isinstance(scheme, DPSGD) or any(overrides(scheme, hook) for hook in HOOKS):
        return
    own = [name for name in vars(type(scheme)) if not name.startswith("_")]
    hints = (did_you_mean(name, HOOKS) for name in own)
    way_out = next((hint for hint in hints if hint), "see mgaudit.targets.Scheme")
    raise UsageError("", f"must override a hook ({', '.join(HOOKS)})", "none", way_out)


def check_hooks(scheme: Scheme, trial: HookTrial) -> None:
    """Checks each hook that a scheme, which is no composition, overrides.

    Hooks return what `Scheme` says, finite, and leave their arguments unchanged. With a generator
    in the same state they return the same, and they draw from no other. For DP-SGD, what they do to
    an example does not depend on the other examples.

    Raises:
        UsageError: Where a hook breaks a rule; the key is the hook.
    """
    checks = {
        "training": _check_training,
        "extend": _check_extend,
        "inputs": _check_inputs,
        "labels": _check_labels,
        "node_values": _check_node_values,
        "weight_noise": _check_weight_noise,
    }
    for hook, check in checks.items():
        if overrides(scheme, hook):
            try:
                check(scheme, trial)
            except UsageError as error:
                raise error.inside(hook) from error


def _check_training(scheme: Scheme, trial: HookTrial) -> None:
    first, second = _twice(lambda _: scheme.training(trial.training), trial.inputs.device)
    if first != second:
        raise UsageError("", "must return the same settings at each call, without a random draw")


def _check_extend(scheme: Scheme, trial: HookTrial) -> None:
    def state(_: Generator) -> dict[str, Tensor]:
        with default_generators_seeded(0):  # as for the initial weights of each model
            extended: object = scheme.extend(trial.build())
        if not isinstance(extended, nn.Module):
            raise UsageError("", "must return the network that it extends", type(extended).__name__)
        return extended.state_dict()

    first, second = _twice(state, None)
    if not _are_same(first, second):
        way_out = "draw initial weights from torch's generator and no other"
        raise UsageError("", "must add the same layers and weights for a seed", None, way_out)


def _check_inputs(scheme: Scheme, trial: HookTrial) -> None:
    def call(x: Tensor) -> Tensor:
        return _repeated(lambda batch, generator: scheme.inputs(batch, generator), x, x.shape)

    others = 2 * trial.inputs.flip(0) + 1
    _check_each_example(call, trial.inputs, others, trial.private, scheme.acts_on_each_example)


def _check_labels(scheme: Scheme, trial: HookTrial) -> None:
    classes = trial.classes

    def call(y: Tensor) -> Tensor:
        labels = _repeated(
            lambda labels, generator: scheme.labels(labels, classes, generator), y, y.shape
        )
        if not bool(((labels >= 0) & (labels < classes)).all()):
            value = f"{int(labels.min())}..{int(labels.max())}"
            raise UsageError("", f"must return class numbers in 0..{classes - 1}", value)
        return labels

    _check_each_example(call, trial.labels, (trial.labels + 1) % classes, trial.private)


def _check_node_values(scheme: Scheme, trial: HookTrial) -> None:
    def call(x: Tensor) -> Tensor:
        shape = torch.Size([len(x)])
        return _repeated(lambda batch, generator: scheme.node_values(batch, generator), x, shape)

    x = trial.inputs
    values, _ = _twice(lambda generator: scheme.node_values(x.clone(), generator), x.device)
    if values is None:
        return
    if node_in(scheme.extend(trial.build())) is None:
        rule = "must return None without a NoiseNode, which extend adds to the network"
        raise UsageError("", rule, None, "override extend, too")
    _check_each_example(call, x, 2 * x.flip(0) + 1, trial.private)


def _check_weight_noise(scheme: Scheme, trial: HookTrial) -> None:
    model = trial.build()
    weights: dict[str, Tensor] = dict(model.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    device = trial.inputs.device
    for step, epoch in MOMENTS:

        def call(generator: Generator, step: int = step, epoch: float = epoch) -> dict[str, Tensor]:
            return _checked_noise(scheme.weight_noise(weights, step, epoch, generator), weights)

        first, second = _twice(call, device)
        if not _are_same(first, second):
            raise UsageError("", DRAWS, OTHER_VALUES, WAY_OUT)
        _refuse_own_seed_of_weights(scheme, weights, (step, epoch), device)
        for name, weight in weights.items():
            if not is_same(weight.detach(), before[name]):
                way_out = "return the noise, which is added to the weights"
                raise UsageError("", "must not change the weights", name, way_out)


def _refuse_own_seed_of_weights(
    scheme: Scheme, weights: Mapping[str, Tensor], moment: tuple[int, float], device: torch.device
) -> None:
    """Raises UsageError for noise on equal weights that varies, but not with the generator."""
    ones = {name: torch.ones_like(weight) for name, weight in weights.items()}

    def call(generator: Generator) -> dict[str, Tensor]:
        return _checked_noise(scheme.weight_noise(ones, *moment, generator), ones)

    first, second = _twice(call, device, seeds=(0, 1))
    varies = any(bool((noise != noise.flatten()[0]).any()) for noise in first.values())
    if varies and _are_same(first, second):
        raise UsageError("", DRAWS, OWN_SEED, WAY_OUT)


def _checked_noise(noise: object, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns copies of the noise on weights by name.

    Raises UsageError unless it consists of finite tensors like the weights.
    """
    if not isinstance(noise, dict):
        raise UsageError("", "must return a dict of tensors by name", type(noise).__name__)
    for name in noise:
        if name not in weights:
            raise UsageError("", "must return noise for names of weights", repr(name))
    return {
        name: _like(tensor, weights[name], weights[name].shape) for name, tensor in noise.items()
    }


def _are_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Returns whether two dicts have the same tensors by the same names."""
    if first.keys() != second.keys():
        return False
    return all(is_same(tensor, second[name]) for name, tensor in first.items())


def _check_each_example(
    call: Callable[[Tensor], Tensor],
    values: Tensor,
    others: Tensor,
    private: bool,
    says_so: bool = False,
) -> None:
    """Calls a hook on `values` (examples, ...), and maybe also on other and fewer examples.

    The further calls are for DP-SGD, and for a scheme that says that it treats each example by
    itself. `others` (examples, ...) replace the second half of the examples. Raises UsageError
    where this changes the result of the first half.
    """
    result = call(values)
    if not (private or says_so):
        return
    call(values[:1])  # Poisson sampling may draw a single example
    half = len(values) // 2
    changed = call(torch.cat([values[:half], others[half:]]))
    if not torch.allclose(result[:half], changed[:half]):
        cause, way_out = "with DP-SGD, which clips its gradient", "leave DP-SGD out"
        if not private:
            cause, way_out = (
                "where acts_on_each_example is true",
                "set acts_on_each_example to False",
            )
        rule = f"must treat each example by itself {cause}"
        value = "noise that depends on the other examples of the batch"
        raise UsageError("", rule, value, f"use nothing of the other examples, or {way_out}")


def _repeated(
    hook: Callable[[Tensor, Generator], object], values: Tensor, shape: torch.Size
) -> Tensor:
    """Returns the tensor of this shape that a hook returns for `values`, twice the same.

    Raises:
        UsageError: If the hook fails, changes `values`, returns other than finite values like
            `values` in this shape, or returns something else the second time.
    """

    def call(generator: Generator) -> Tensor:
        argument = values.clone()
        returned = hook(argument, generator)
        if not is_same(argument, values):
            way_out = "return a new tensor, as in x = x + noise"
            raise UsageError("", "must not change its argument in place", None, way_out)
        return _like(returned, values, shape)

    first, second = _twice(call, values.device)
    if not is_same(first, second):
        raise UsageError("", DRAWS, OTHER_VALUES, WAY_OUT)
    _refuse_own_seed(hook, values, shape)
    return first


def _refuse_own_seed(
    hook: Callable[[Tensor, Generator], object], values: Tensor, shape: torch.Size
) -> None:
    """Raises UsageError where equal examples get other noise, but not with another generator.

    Such noise has a seed of its own, so that it is the same in every step and every model. A change
    of inputs without noise, such as rounding, treats equal examples alike.
    """
    equal = values[:1].expand_as(values)

    def call(generator: Generator) -> Tensor:
        return _like(hook(equal.clone(), generator), values, shape)

    first, second = _twice(call, values.device, seeds=(0, 1))
    varies = not is_same(first, first[:1].expand_as(first))
    if varies and is_same(first, second):
        raise UsageError("", DRAWS, OWN_SEED, WAY_OUT)


def _twice(
    call: Callable[[Generator], Result],
    device: torch.device | None,
    seeds: tuple[int, int] = (0, 0),
) -> tuple[Result, Result]:
    """Returns the results of two calls with generators of these seeds, in the same state if equal.

    `device` is that of the generators. With None, the call may draw from torch's own generator.
    """
    on = torch.device("cpu") if device is None else device
    with refuse_global_draws(DRAWS, WAY_OUT, device):
        try:
            first, second = (call(torch_generator(seed, "trial", device=on)) for seed in seeds)
        except UsageError:
            raise
        except RAISED as error:
            rule = f"must act on a batch of training, but fails: {error_line_with_place(error)}"
            way_out = "correct it; mgaudit.testing.check_scheme checks it"
            raise UsageError("", rule, None, way_out) from error
    return first, second


def _like(values: object, reference: Tensor, shape: torch.Size) -> Tensor:
    """Returns a copy of finite values of this shape, with dtype and device of `reference`.

    Raises UsageError for others.
    """
    if not isinstance(values, Tensor):
        raise UsageError("", "must return a tensor", type(values).__name__)
    expected = f"{reference.dtype} of shape {tuple(shape)} on {reference.device}"
    if (values.shape, values.dtype, values.device) != (shape, reference.dtype, reference.device):
        value = f"{values.dtype} of shape {tuple(values.shape)} on {values.device}"
        raise UsageError("", f"must return {expected}", value)
    if not bool(values.isfinite().all()):
        raise UsageError("", "must return finite values", "NaN or infinity")
    return values.detach().clone()
