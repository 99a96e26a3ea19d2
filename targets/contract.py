"""The contract of a network, checked once before any training.

The contract is a list of rules, such as: the logits of an example depend on no other example. A
network that breaks a rule could be trained and attacked, but the results would be wrong.
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

NETWORK = nn.Module  # the base class of a target
EXAMPLES = 4
# Of a difference, relative to the largest value. float32 sums in another order differ by less; the
# effect of other examples in a batch is larger.
TOLERANCE = 1e-3


def check_target(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Builds the network and checks its contract.

    The rules are those of `check_network` and the following. The network can be built for these
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
        return initial_model(target, input_shape, classes, seed)

    try:
        model = build(0)
    except UsageError as error:  # the network itself refuses its options or the data
        raise error.inside(key) from error
    except RAISED as error:
        rule = (
            f"cannot be built for input_shape={input_shape} and classes={classes}: "
            f"{error_line(error)}"
        )
        raise UsageError(key, rule, None, "change its options or the data") from error
    try:
        trainable = any(parameter.requires_grad for parameter in model.parameters())
        if not trainable:
            rule = "must have weights that can be trained"
            raise UsageError("", rule, "none", "give it a parameter")
        check_network(model, input_shape, classes)
        _check_weights(model, build(0), build(1), _drawn(input_shape))
    except UsageError as error:
        raise error.inside(key) from error


def check_network(model: nn.Module, input_shape: tuple[int, ...], classes: int) -> None:
    """Checks that logits are finite, (batch, classes), and depend only on the example.

    The logits of an example must not depend on the rest of the batch (BatchNorm), on random numbers
    (dropout), or on training mode. Noise must be added by a scheme instead, because the audit must
    be able to account for the noise and to turn it off. `model` is in evaluation mode afterwards.

    Raises:
        UsageError: Where `model` breaks one of these rules.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            value = f"{type(module).__name__} at {name or 'the top'}"
            way_out = (
                "use GroupNorm: BatchNorm lets an example's logits "
                "depend on the others in its batch"
            )
            raise UsageError("", "must hold no BatchNorm", value, way_out)
    model.train()
    logits_of_zeros = _logits(model, torch.zeros(2, *input_shape))
    _require_logits("2 examples of zeros", logits_of_zeros, (2, classes))
    x = _drawn(input_shape)
    together = _logits(model, x)
    _require_logits(f"{EXAMPLES} standard normal examples", together, (EXAMPLES, classes))
    if not _equal(together, _logits(model, x)):
        rule = "must return identical logits for identical inputs in training mode"
        way_out = "remove dropout and other noise from the network, and use --scheme"
        raise UsageError("", rule, None, way_out)
    alone = torch.cat([_logits(model, example) for example in torch.split(x, 1)])
    if not _equal(together, alone):
        rule = "must return the same logits for an example alone and in a batch, in training mode"
        difference = float((together - alone).abs().max())
        raise UsageError("", rule, f"a difference of up to {difference:.2g}")
    if not _equal(together, _logits(model.eval(), x)):
        raise UsageError("", "must return the same logits in training mode as at evaluation")


def check_per_example_gradients(
    name: str, target: Target, input_shape: tuple[int, ...], classes: int
) -> None:
    """Checks that Opacus computes the norms of the network's per-example gradients correctly.

    DP-SGD clips by these norms, so its epsilon is wrong if the norms are wrong. The arguments are
    those of `check_target`.

    Raises:
        UsageError: Where the norms differ from norms of gradients that are computed one by one.
    """
    model = initial_model(target, input_shape, classes, seed=0)
    x, labels = _drawn(input_shape), torch.arange(EXAMPLES) % classes
    try:
        norms = torch.from_numpy(gradient_norms(model, x.numpy(), labels.numpy(), "cpu"))
    except (
        RAISED
    ) as error:  # Opacus raises many kinds of errors for layers that it does not support
        rule = (
            "cannot have per-example gradients, "
            f"which DP-SGD and gradient attacks need: {error_line(error)}"
        )
        raise UsageError(f"target {name}", rule, None, "leave DP-SGD out with --no-dp") from error
    expected = _norms_one_by_one(model, x, labels)
    if not _equal(norms, expected):
        error_of_norms = float((norms / expected - 1).abs().max())
        raise UsageError(
            f"target {name}",
            "must have per-example gradients whose norms Opacus computes correctly, "
            "because DP-SGD clips by them",
            f"an error of up to {error_of_norms:.2g} of the norm",
            "build the network from plain layers, each used once, or leave DP-SGD out with --no-dp",
        )


def _norms_one_by_one(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Returns the norms (examples,) of the gradients of each example's cross-entropy.

    `x` is (examples, *input_shape) and `labels` (examples,). Weights that the loss does not depend
    on have no gradient.
    """
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norms = []
    for example, label in zip(torch.split(x, 1), torch.split(labels, 1), strict=True):
        loss = cross_entropy(model(example), label)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        of_weights = [gradient.norm() for gradient in gradients if gradient is not None]
        norms.append(torch.stack(of_weights).norm())
    return torch.stack(norms).detach()


def check_stack(name: str, target: Target, input_shape: tuple[int, ...], classes: int) -> None:
    """Checks that models of the network have the same logits in a stack as alone.

    A stack is several models that are trained together by vectorised operations. The arguments are
    those of `check_target`.

    Raises:
        UsageError: Where the logits differ, or the models cannot be stacked.
    """
    models = [initial_model(target, input_shape, classes, seed) for seed in (0, 1)]
    x = _drawn(input_shape)
    try:
        stack = ModelStack(models)
        together = stack.logits(stack.weights, torch.stack([x, x]), None).detach()
    except RAISED as error:  # torch raises many kinds of errors for what vmap does not support
        rule = f"cannot be trained in a stack: {error_line(error)}"
        raise UsageError(f"target {name}", rule, None, "use --stack 1") from error
    alone = torch.stack([_logits(model, x) for model in models])
    if not _equal(together, alone):
        rule = "must return the same logits in a stack as alone"
        raise UsageError(f"target {name}", rule, None, "use --stack 1")


def _check_weights(model: nn.Module, again: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Raises UsageError where the seed or the state_dict does not determine a model.

    `again` was built with the seed of `model`, `other` with another seed. `x` are examples (batch,
    *input_shape).
    """
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state_again = again.state_dict()
    reproduced = all(torch.equal(tensor, state[name]) for name, tensor in state_again.items())
    if not reproduced:
        rule = "must have weights that the seed determines"
        raise UsageError("", rule, None, "draw them from torch's generator and no other")
    try:
        loaded = functional_call(other.eval(), state, (x,))
    except RAISED as error:  # torch raises several kinds of errors for tied weights
        rule = f"must accept weights that are loaded by name, but fails: {error_line(error)}"
        raise UsageError("", rule) from error
    if not _equal(loaded, _logits(model.eval(), x)):
        rule = "must be the same model after its state_dict was saved and loaded"
        way_out = "keep what is drawn in __init__ in a parameter or a persistent buffer"
        raise UsageError("", rule, None, way_out)


def _drawn(input_shape: tuple[int, ...]) -> Tensor:
    """Returns standard normal examples (EXAMPLES, *input_shape), always the same."""
    generator = torch_generator(0, "contract")
    return torch.randn(EXAMPLES, *input_shape, generator=generator)


def _logits(model: Callable[[Tensor], object], x: Tensor) -> Tensor:
    """Returns what `model` returns for `x` (batch, *input_shape), or raises UsageError."""
    try:
        with torch.no_grad():
            logits = model(x)
    except RAISED as error:
        rule = f"must accept a batch of shape {tuple(x.shape)}, but fails: {error_line(error)}"
        raise UsageError("", rule) from error
    if not isinstance(logits, Tensor):
        raise UsageError("", "must return a tensor of logits", type(logits).__name__)
    return logits


def _require_logits(examples: str, logits: Tensor, shape: tuple[int, int]) -> None:
    """Raises UsageError unless `logits` are finite float32 of this shape.

    `examples` describes the inputs in the message.
    """
    if tuple(logits.shape) != shape:
        rule = f"must return logits of shape {shape} for {examples}"
        raise UsageError("", rule, str(tuple(logits.shape)))
    if logits.dtype != torch.float32:
        raise UsageError("", "must return logits of dtype torch.float32", str(logits.dtype))
    if not bool(logits.isfinite().all()):
        raise UsageError("", f"must return finite logits for {examples}", "NaN or infinity")


def _equal(first: Tensor, second: Tensor) -> bool:
    """Returns whether shapes are equal and values equal up to TOLERANCE; False for NaN."""
    if first.shape != second.shape:
        return False
    difference = (first - second).abs().max()
    return bool(difference <= TOLERANCE * first.abs().max())
