"""The contract of a noise scheme, checked on the scheme's own examples in seconds.

A scheme is a way to add noise to training, through *hooks*, methods that training calls. Its
*strength* is its main option, such as the standard deviation of the noise. At *strength zero* it
must be plain training. Models of a *stack* are trained together by vectorised operations.
"""

import inspect
import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any, Literal, get_origin, get_type_hints

import torch
from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.fitting.dp_sgd import fit_stack_privately
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import fit
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, default_delta
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.ranges import range_in
from mgaudit.targets.scheme_hooks import HookTrial, check_hooks
from mgaudit.targets.schemes import DPSGD, SCHEMES, Scheme, compose, dp_sgd_in
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.schemes.scheme import EXAMPLE_EPOCHS, overrides
from mgaudit.targets.seeds import stream, torch_generator
from mgaudit.targets.training import Training

IMAGE, CLASSES, EXAMPLES, MODELS = (3, 6, 6), 3, 48, 3  # IMAGE is (channels, height, width)
TRAINING = Training(epochs=EXAMPLE_EPOCHS, batch_size=16)
# For weights in float64: sums in another order differ by less, noise by more.
TOLERANCE = 1e-9
# The random stream that a hook may draw from, if its noise is drawn for each batch (False) or once
# before training (True, `Scheme.fixed`).
HOOKS = {
    "inputs": {False: "inputs", True: "fixed_inputs"},
    "node_values": {False: "nodes", True: "fixed_nodes"},
    "weight_noise": {False: "weights", True: "weights"},
    "labels": {False: "labels", True: "labels"},
}

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class _Trained:
    """The weights of models by name, and the state of their random streams after training."""

    weights: list[Weights]
    streams: list[Streams]


def check_scheme(kind: type[Scheme]) -> None:
    """Raises AssertionError, naming the rule in one line, where a scheme breaks the contract.

    A scheme is a frozen dataclass with `name`, `law` and `source`, whose fields have a default or a
    range. Among its `examples()`, strength zero is plain training bit for bit and draws nothing;
    every other strength changes the weights and keeps them finite. A model is the same in every
    stack, to 1e-9 in float64. Hooks draw only from the generator that is passed to them, and leave
    their arguments unchanged (`mgaudit.targets.scheme_hooks`). Every
    other scheme can be composed with it, or is refused by a ValueError that states the reason.

    >>> from mgaudit.targets.schemes import GaussianMask
    >>> check_scheme(GaussianMask)
    """
    try:
        _check_contract(kind)
    except RAISED as error:
        if isinstance(error, AssertionError):
            raise
        name = getattr(kind, "__name__", repr(kind))
        raise AssertionError(f"{name} must train models, and fails: {error_line(error)}") from error


def _check_contract(kind: type[Scheme]) -> None:
    """Raises AssertionError where the scheme breaks a rule; other errors are not converted."""
    _check_facts(kind)
    zero, strengths = _examples(kind)
    plain = _trained(Scheme())
    if zero is not None:
        for scheme in _fresh_and_fixed(zero):
            _check_zero(scheme, plain)
    for strength in strengths:
        for scheme in _fresh_and_fixed(strength):
            _check_strength(scheme, plain)
    if strengths:
        alone = _trained(strengths[0])
        for other in SCHEMES.values():
            if other is not kind:
                _check_composition(strengths[0], alone, other)


def _check_zero(scheme: Scheme, plain: _Trained) -> None:
    """Raises AssertionError unless a scheme of strength zero trains as `plain`, drawing nothing."""
    trained = _trained(scheme)
    rule = "must train the same weights as plain training at strength zero, bit for bit"
    _require(_equal(plain, trained), scheme, rule)
    moved = _moved(plain, trained)
    rule = f"must draw nothing at strength zero, but draws from the stream {moved}"
    _require(not moved, scheme, rule)


def _check_strength(scheme: Scheme, plain: _Trained) -> None:
    """Raises AssertionError where a scheme of another strength breaks a rule."""
    trained = _trained(scheme)
    finite = all(bool(weight.isfinite().all()) for weight in trained.weights[0].values())
    _require(finite, scheme, "must keep the weights finite")
    changed = not _equal(plain, trained)
    _require(changed, scheme, "must change the weights at a strength that is not zero")
    reproduced = _equal(trained, _trained(scheme))
    _require(reproduced, scheme, "must draw from the given generator and from nothing else")
    _check_streams(scheme, trained, plain)
    _check_stacks(scheme, trained)
    _check_hooks(scheme)


def _check_hooks(scheme: Scheme) -> None:
    """Raises AssertionError where a hook breaks a rule on a few examples."""
    build = partial(initial_model, _extended(Scheme()), IMAGE, CLASSES, 0)
    inputs, labels = _drawn_examples()
    trial = HookTrial(inputs, labels, CLASSES, build, TRAINING)
    try:
        check_hooks(scheme, trial)
    except UsageError as error:
        raise AssertionError(f"{scheme}: {error}") from error


def _check_facts(kind: type[Scheme]) -> None:
    """Raises AssertionError where the class lacks a fact or a field breaks a rule."""
    is_scheme = isinstance(kind, type) and issubclass(kind, Scheme)
    _require(is_scheme, kind, "must be a class that extends Scheme")
    frozen = is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    _require(frozen, kind, "must be a frozen dataclass")
    for fact in ("name", "law"):
        stated = bool(vars(kind).get(fact))
        _require(stated, kind, f"must state its {fact}: a class variable of its own")
    _require(isinstance(kind.source, str), kind, "must have a text for its source")
    parameters = list(inspect.signature(kind).parameters)
    names = [field.name for field in fields(kind)]
    _require(parameters == names, kind, "must have a field for each option")
    option = kind.smaller_is_stronger
    known = option in ("", *parameters)
    _require(known, kind, f"must name an option in smaller_is_stronger, got {option!r}")
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        bounded = _has_default(field) or range_in(hint) is not None
        choice = hint is bool or get_origin(hint) is Literal
        rule = f"must give {field.name} a default or a range: Annotated[float, Range(0)]"
        _require(bounded or choice, kind, rule)


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _examples(kind: type[Scheme]) -> tuple[Scheme | None, Sequence[Scheme]]:
    """Returns the class's `examples()`, or raises AssertionError where they break a rule."""
    zero, strengths = kind.examples()
    examples = [*strengths] if zero is None else [*strengths, zero]
    rule = (
        "must override the class method examples(): "
        "the scheme at strength zero, or None, and at some strengths"
    )
    for scheme in examples:
        _require(type(scheme) is kind, kind, rule)
    has_strength = bool(strengths) or kind is Scheme
    _require(has_strength, kind, "must have an example of a strength that is not zero")
    return zero, strengths


def _fresh_and_fixed(scheme: Scheme) -> list[Scheme]:
    """Returns the scheme and, if it has a field `fixed`, a copy with the opposite value."""
    if "fixed" not in {field.name for field in fields(scheme)}:
        return [scheme]
    changes: dict[str, Any] = {"fixed": not scheme.fixed}
    return [scheme, replace(scheme, **changes)]


def _check_streams(scheme: Scheme, trained: _Trained, plain: _Trained) -> None:
    """Raises AssertionError where the scheme draws from a stream that its hooks may not use."""
    training = scheme.training(TRAINING)
    # With other settings, plain training uses the streams differently, so it is trained again.
    if training != TRAINING:
        plain = _trained(Scheme(), training=training)
    allowed = {streams[scheme.fixed] for hook, streams in HOOKS.items() if overrides(scheme, hook)}
    if dp_sgd_in(scheme) is not None:
        allowed.add("batches")  # Poisson sampling
    for name in _moved(plain, trained):
        _require(name in allowed, scheme, f"must not draw from the stream {name!r}")


def _check_stacks(scheme: Scheme, first: _Trained) -> None:
    """Raises AssertionError where a model differs alone and in a stack; `first` is model 0."""
    together = _trained(scheme, range(MODELS))
    for index in range(MODELS):
        trained = _trained(scheme, [index]) if index else first
        alone, in_stack = trained.weights[0], together.weights[index]
        close = all(
            torch.allclose(weight, in_stack[name], rtol=0, atol=TOLERANCE)
            for name, weight in alone.items()
        )
        rule = f"must give the same model alone and in a stack of {MODELS}; model {index} differs"
        _require(close, scheme, rule)


def _check_composition(scheme: Scheme, alone: _Trained, other: type[Scheme]) -> None:
    """Raises AssertionError unless the scheme composes with `other`, or a reason is stated.

    `alone` are the models that are trained with the scheme only. Composed with `other` at strength
    zero, the weights must be the same; at another strength, they must change.
    """
    zero, strengths = other.examples()
    partners = [(strength, True) for strength in strengths[:1]]
    if zero is not None:
        partners.insert(0, (zero, False))
    for partner, changes_weights in partners:
        for members in permutations((scheme, partner)):
            try:
                composed = compose(members)
            except ValueError as error:
                rule = f"must state why it cannot be composed with {other.name}"
                _require(bool(str(error).strip()), scheme, rule)
                continue
            same = _equal(alone, _trained(composed))
            acts = not (same and changes_weights)
            _require(acts, scheme, f"must let {other.name} act in a composition")
            rule = f"must train the same weights when composed with {other.name} at strength zero"
            _require(same or changes_weights, scheme, rule)


def _trained(
    scheme: Scheme, indices: Sequence[int] = (0,), training: Training | None = None
) -> _Trained:
    """Returns models trained on random images as one stack, as in an audit but in float64.

    Args:
        scheme: The scheme.
        indices: The indices of the models, which determine initial weights and random streams.
        training: The settings, by default TRAINING as modified by the scheme.
    """
    if training is None:
        training = scheme.training(TRAINING)
    build = _extended(scheme)
    seeds = [stream(0, "weights", index) for index in indices]
    models = [initial_model(build, IMAGE, CLASSES, seed) for seed in seeds]
    streams = [Streams.of_model(0, index, "cpu") for index in indices]
    inputs, labels = _drawn_examples()
    rows = tuple(torch.arange(index % 2, EXAMPLES) for index in indices)
    dp_sgd = dp_sgd_in(scheme)
    if dp_sgd is None:
        inputs = inputs.to(memory_format=torch.channels_last)
    examples = TrainingExamples(inputs, labels, rows)
    examples = examples.with_fixed_noise(scheme, CLASSES, streams)
    if dp_sgd is None:
        fit(models, examples, scheme, training, EXAMPLES, streams)
    else:
        plan = _privacy_plan(dp_sgd, training)
        dp_noises = [torch_generator(0, "dp-noise", index) for index in indices]
        fit_stack_privately(models, examples, scheme, training, plan, streams, dp_noises)
    weights = []
    for model in models:
        parameters = without_node(model).named_parameters()
        weights.append({name: weight.detach() for name, weight in parameters})
    return _Trained(weights, streams)


def _drawn_examples() -> tuple[Tensor, Tensor]:
    """Returns random images (EXAMPLES, *IMAGE), float64, and labels (EXAMPLES,), int64."""
    generator = torch_generator(0, "contract")
    inputs = torch.randn(EXAMPLES, *IMAGE, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (EXAMPLES,), generator=generator)


def _privacy_plan(dp_sgd: DPSGD, training: Training) -> PrivacyPlan:
    """Returns the parameters of DP-SGD, with noise multiplier 1 for a scheme with an epsilon."""
    rate = training.batch_size / EXAMPLES
    return PrivacyPlan(
        noise_multiplier=1.0 if dp_sgd.noise_multiplier is None else dp_sgd.noise_multiplier,
        max_grad_norm=1.0 if dp_sgd.max_grad_norm is None else dp_sgd.max_grad_norm,
        sample_rate=rate,
        steps=round(training.last_epoch / rate),
        batch_size=training.batch_size,
        delta=default_delta(EXAMPLES),
        epsilon=math.inf,  # the contract makes no claim about epsilon
    )


def _extended(scheme: Scheme) -> Any:
    """Returns a function that builds a small network with the scheme's extension, in float64."""

    def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, height, width = input_shape
        features = 4 * (height - 2) * (width - 2)
        convolution, head = nn.Conv2d(channels, 4, 3), nn.Linear(features, classes)
        network = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), head)
        return scheme.extend(network.double())

    return build


def _equal(first: _Trained, second: _Trained) -> bool:
    """Returns whether the first models of both records have the same weights, bit for bit."""
    first_weights, second_weights = first.weights[0], second.weights[0]
    if first_weights.keys() != second_weights.keys():
        return False
    return all(torch.equal(weight, second_weights[name]) for name, weight in first_weights.items())


def _moved(first: _Trained, second: _Trained) -> list[str]:
    """Returns the names of the random streams whose states differ between the first models."""
    names = []
    for field in fields(Streams):
        first_state = _state(first.streams[0], field.name)
        second_state = _state(second.streams[0], field.name)
        if not torch.equal(first_state, second_state):
            names.append(field.name)
    return names


def _state(streams: Streams, name: str) -> Tensor:
    """Returns the state of the generator of this name, as a byte tensor."""
    generator: Generator = getattr(streams, name)
    return generator.get_state()


def _require(holds: bool, scheme: Scheme | type[Scheme], rule: str) -> None:
    """Raises AssertionError with the scheme's name and the rule unless `holds`."""
    if not holds:
        name = scheme.__name__ if isinstance(scheme, type) else str(scheme)
        raise AssertionError(f"{name} {rule}")
