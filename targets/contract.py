"""What a network must do to be audited, checked once before any training.

A network that breaks it would train and be attacked all the same, and the numbers would be wrong.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from mgaudit.errors import UsageError
from mgaudit.targets.fitting.recipe import Target, initial_model
from mgaudit.targets.fitting.stack import ModelStack
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.gradients import gradient_norms
from mgaudit.targets.seeds import torch_generator

NETWORK = nn.Module  # what the class of a target extends
EXAMPLES = 4
TOLERANCE = 1e-3  # of the largest value: float32 sums in another order differ by less, and what a batch mixes by more


def check_target(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Builds the network and raises UsageError, with the target's name, where it breaks the contract.

    Beside `check_network`: it can be built for such data, its initial weights come from torch's generator, which is
    the one that is seeded, and a model is the same after its state_dict is saved and loaded into another.
    """
    key = f"target {name}"

    def build(seed: int) -> nn.Module:
        return initial_model(target, input_shape, classes, seed)

    try:
        model = build(0)
    except UsageError as error:  # a network's own refusal
        raise error.inside(key) from error
    except RAISED as error:
        rule = f"cannot be built for input_shape={input_shape} and classes={classes}: {error_line(error)}"
        raise UsageError(key, rule, None, "change its options or the data") from error
    try:
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise UsageError("", "must have weights that can be trained", "none", "give it a parameter")
        check_network(model, input_shape, classes)
        _check_weights(model, build(0), build(1), _drawn(input_shape))
    except UsageError as error:
        raise error.inside(key) from error


def check_network(model: nn.Module, input_shape: tuple[int, ...], classes: int) -> None:
    """Raises UsageError unless `model` gives finite logits (batch, classes) that mind nothing but the example.

    So not the rest of its batch (BatchNorm), not chance (dropout), and not whether it is in training mode: noise
    belongs into a scheme, where the audit knows of it and can turn it off.
    """
    for place, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            value = f"{type(module).__name__} at {place or 'the top'}"
            way_out = "use GroupNorm: BatchNorm lets an example's logits depend on the others in its batch"
            raise UsageError("", "must hold no BatchNorm", value, way_out)
    model.train()
    _require_logits("2 examples of zeros", _answer(model, torch.zeros(2, *input_shape)), (2, classes))
    x = _drawn(input_shape)
    together = _answer(model, x)
    _require_logits(f"{EXAMPLES} standard normal examples", together, (EXAMPLES, classes))
    if not _equal(together, _answer(model, x)):
        way_out = "take dropout and other noise out of it, and use --scheme"
        raise UsageError("", "must return identical logits for identical inputs in training mode", None, way_out)
    alone = torch.cat([_answer(model, one) for one in torch.split(x, 1)])
    if not _equal(together, alone):
        rule = "must give an example the same logits alone as in a batch, in training mode"
        raise UsageError("", rule, f"a difference of up to {float((together - alone).abs().max()):.2g}")
    if not _equal(together, _answer(model.eval(), x)):
        raise UsageError("", "must return the same logits in training mode as at evaluation")


def check_per_example_gradients(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Raises UsageError unless Opacus gets the norms of the network's per-example gradients right.

    DP-SGD clips by these norms, so where they are wrong its epsilon is wrong.
    """
    model = initial_model(target, input_shape, classes, seed=0)
    x, labels = _drawn(input_shape), torch.arange(EXAMPLES) % classes
    try:
        found = torch.from_numpy(gradient_norms(model, x.numpy(), labels.numpy(), "cpu"))
    except RAISED as error:  # Opacus raises many kinds for the layers that it cannot handle
        rule = f"cannot have per-example gradients, which DP-SGD and gradient attacks need: {error_line(error)}"
        raise UsageError(f"target {name}", rule, None, "leave DP-SGD out with --no-dp") from error
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norms = []
    for example, label in zip(torch.split(x, 1), torch.split(labels, 1), strict=True):
        gradients = torch.autograd.grad(cross_entropy(model(example), label), weights, allow_unused=True)
        norms.append(torch.stack([one.norm() for one in gradients if one is not None]).norm())
    expected = torch.stack(norms).detach()
    if not _equal(found, expected):
        error_of_norms = float((found / expected - 1).abs().max())
        raise UsageError(
            f"target {name}",
            "must have per-example gradients whose norms Opacus computes correctly, or DP-SGD clips wrongly",
            f"an error of up to {error_of_norms:.2g} of the norm",
            "build the network of plain layers, each used once, or leave DP-SGD out with --no-dp",
        )


def check_stack(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Raises UsageError unless models of the network answer in a stack what each answers alone."""
    models = [initial_model(target, input_shape, classes, seed) for seed in (0, 1)]
    x = _drawn(input_shape)
    try:
        stack = ModelStack(models)
        together = stack.logits(stack.weights, torch.stack([x, x]), None).detach()
    except RAISED as error:  # torch raises many kinds for what it cannot map over models
        rule = f"cannot be trained in a stack: {error_line(error)}"
        raise UsageError(f"target {name}", rule, None, "use --stack 1") from error
    alone = torch.stack([_answer(model, x) for model in models])
    if not _equal(together, alone):
        raise UsageError(f"target {name}", "gives other logits in a stack than alone", None, "use --stack 1")


def _check_weights(model: nn.Module, again: nn.Module, other: nn.Module, x: Tensor) -> None:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if not all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items()):
        rule = "must have weights that the seed determines"
        raise UsageError("", rule, None, "draw them from torch's generator and no other")
    try:
        loaded = functional_call(other.eval(), state, (x,))
    except RAISED as error:  # torch raises several kinds for tied weights
        raise UsageError("", f"must take weights that are loaded by name, and fails: {error_line(error)}") from error
    if not _equal(loaded, _answer(model.eval(), x)):
        way_out = "keep what is drawn in __init__ in a parameter or a persistent buffer"
        raise UsageError("", "must be the same model after its state_dict was saved and loaded", None, way_out)


def _drawn(input_shape: tuple[int, ...]) -> Tensor:
    return torch.randn(EXAMPLES, *input_shape, generator=torch_generator(0, "contract"))


def _answer(model: Callable[[Tensor], object], x: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            answer = model(x)
    except RAISED as error:
        raise UsageError("", f"must take a batch of shape {tuple(x.shape)}, and fails: {error_line(error)}") from error
    if not isinstance(answer, Tensor):
        raise UsageError("", "must return a tensor of logits", type(answer).__name__)
    return answer


def _require_logits(examples: str, logits: Tensor, shape: tuple[int, int]) -> None:
    if tuple(logits.shape) != shape:
        raise UsageError("", f"must return logits of shape {shape} for {examples}", str(tuple(logits.shape)))
    if logits.dtype != torch.float32:
        raise UsageError("", "must return logits of dtype torch.float32", str(logits.dtype))
    if not bool(logits.isfinite().all()):
        raise UsageError("", f"must return finite logits for {examples}", "NaN or infinity")


def _equal(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and bool((one - two).abs().max() <= TOLERANCE * one.abs().max())
