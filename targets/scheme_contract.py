"""What a scheme must do to be audited, checked on its own examples in seconds."""

import inspect
import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from itertools import permutations
from typing import Any, Literal, get_origin, get_type_hints

import torch
from torch import Generator, Tensor, nn

from mgaudit.targets.fitting.dp_sgd import fit_privately
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.loop import fit
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, default_delta
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.ranges import range_in
from mgaudit.targets.schemes import SCHEMES, Scheme, compose, dp_sgd_in
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.schemes.scheme import EXAMPLE_EPOCHS, overrides
from mgaudit.targets.seeds import stream, torch_generator
from mgaudit.targets.training import Training

IMAGE, CLASSES, EXAMPLES, MODELS = (3, 6, 6), 3, 48, 3
TRAINING = Training(epochs=EXAMPLE_EPOCHS, batch_size=16)
TOLERANCE = 1e-9  # of weights in float64: sums in another order differ by less, and noise by more
HOOKS = {  # and the streams that they may draw from: what is drawn once has its own
    "inputs": {False: "inputs", True: "fixed_inputs"},
    "node_values": {False: "nodes", True: "fixed_nodes"},
    "weight_noise": {False: "weights", True: "weights"},
    "labels": {False: "labels", True: "labels"},
}

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class _Trained:
    """The weights of models by name, and where training left their random streams."""

    weights: list[Weights]
    streams: list[Streams]


def check_scheme(kind: type[Scheme]) -> None:
    """Raises AssertionError, with one line that names the rule, where a class of schemes breaks the contract.

    A frozen dataclass with the facts `name`, `law` and `source`, whose fields have a default or a range. Of its
    `examples()`, the zero is plain training bit for bit and draws nothing; any strength changes the weights. A model
    is the same in every stack, to 1e-9 in float64. Hooks draw from the generator that they are given and from nothing
    else. Every other scheme can be composed with it, or is refused by a ValueError that says why.

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
    _check_facts(kind)
    zero, strengths = _examples(kind)
    plain = _trained(Scheme())
    for scheme in () if zero is None else _switched(zero):
        trained = _trained(scheme)
        _require(_equal(plain, trained), scheme, "must train the very weights of plain training at strength zero")
        moved = _moved(plain, trained)
        _require(not moved, scheme, f"must draw nothing at strength zero, and draws from the stream {moved}")
    for scheme in (switched for strength in strengths for switched in _switched(strength)):
        trained = _trained(scheme)
        finite = all(bool(weight.isfinite().all()) for weight in trained.weights[0].values())
        _require(finite, scheme, "must keep the weights finite")
        _require(not _equal(plain, trained), scheme, "must change the weights at a strength that is not zero")
        _require(_equal(trained, _trained(scheme)), scheme, "must draw from the given generator and from nothing else")
        _check_streams(scheme, trained, plain)
        _check_stacks(scheme, trained)
    if strengths:
        alone = _trained(strengths[0])
        for other in SCHEMES.values():
            if other is not kind:
                _check_composition(strengths[0], alone, other)


def _check_facts(kind: type[Scheme]) -> None:
    _require(isinstance(kind, type) and issubclass(kind, Scheme), kind, "must be a class that extends Scheme")
    _require(is_dataclass(kind) and kind.__dataclass_params__.frozen, kind, "must be a frozen dataclass")  # type: ignore[attr-defined]
    for fact in ("name", "law"):
        _require(bool(vars(kind).get(fact)), kind, f"must state its {fact}: a class variable of its own")
    _require(isinstance(kind.source, str), kind, "must have a text for its source")
    parameters = list(inspect.signature(kind).parameters)
    _require(parameters == [field.name for field in fields(kind)], kind, "must have its options for fields")
    known = kind.smaller_is_stronger in ("", *parameters)
    _require(known, kind, f"must name an option in smaller_is_stronger, got {kind.smaller_is_stronger!r}")
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        bounded = _has_default(field) or range_in(hints[field.name]) is not None
        choice = hints[field.name] is bool or get_origin(hints[field.name]) is Literal
        _require(bounded or choice, kind, f"must give {field.name} a default or a range: Annotated[float, Range(0)]")


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _examples(kind: type[Scheme]) -> tuple[Scheme | None, Sequence[Scheme]]:
    zero, strengths = kind.examples()
    for scheme in (*strengths, *(() if zero is None else (zero,))):
        rule = "must override the class method examples(): the scheme at strength zero, or None, and at some strengths"
        _require(type(scheme) is kind, kind, rule)
    _require(bool(strengths) or kind is Scheme, kind, "must have an example of a strength that is not zero")
    return zero, strengths


def _switched(scheme: Scheme) -> list[Scheme]:
    """Returns the scheme, and the same with `fixed` the other way if that is a field."""
    if "fixed" not in {field.name for field in fields(scheme)}:
        return [scheme]
    switch: dict[str, Any] = {"fixed": not scheme.fixed}
    return [scheme, replace(scheme, **switch)]


def _check_streams(scheme: Scheme, trained: _Trained, plain: _Trained) -> None:
    """Raises AssertionError where the scheme draws from a stream of another use of randomness."""
    training = scheme.training(TRAINING)
    if training != TRAINING:
        plain = _trained(Scheme(), training=training)
    allowed = {streams[scheme.fixed] for hook, streams in HOOKS.items() if overrides(scheme, hook)}
    if dp_sgd_in(scheme) is not None:
        allowed.add("batches")  # Poisson sampling
    for name in _moved(plain, trained):
        _require(name in allowed, scheme, f"must leave the stream {name!r} as it is")


def _check_stacks(scheme: Scheme, first: _Trained) -> None:
    if dp_sgd_in(scheme) is not None:
        return  # Opacus trains one model at a time
    together = _trained(scheme, range(MODELS))
    for index in range(MODELS):
        alone = (_trained(scheme, [index]) if index else first).weights[0]
        close = all(
            torch.allclose(weight, together.weights[index][name], rtol=0, atol=TOLERANCE)
            for name, weight in alone.items()
        )
        _require(close, scheme, f"must give the same model alone and in a stack of {MODELS}; model {index} differs")


def _check_composition(scheme: Scheme, alone: _Trained, other: type[Scheme]) -> None:
    zero, strengths = other.examples()
    for partner, changes in ((zero, False), *((strength, True) for strength in strengths[:1])):
        if partner is None:
            continue
        for members in permutations((scheme, partner)):
            try:
                composed = compose(members)
            except ValueError as error:
                _require(bool(str(error).strip()), scheme, f"must say why it cannot be composed with {other.name}")
                continue
            same = _equal(alone, _trained(composed))
            _require(not (same and changes), scheme, f"must let {other.name} act beside it")
            _require(same or changes, scheme, f"must train the same with {other.name} at strength zero beside it")


def _trained(scheme: Scheme, indices: Sequence[int] = (0,), training: Training | None = None) -> _Trained:
    """Returns models on random images, trained as one stack the way that an audit's models are, but in float64."""
    training = scheme.training(TRAINING) if training is None else training
    models = [initial_model(_extended(scheme), IMAGE, CLASSES, stream(0, "weights", index)) for index in indices]
    streams = [Streams.of_model(0, index, "cpu") for index in indices]
    drawn = torch_generator(0, "contract")
    inputs = torch.randn(EXAMPLES, *IMAGE, generator=drawn, dtype=torch.float64)
    labels = torch.randint(CLASSES, (EXAMPLES,), generator=drawn)
    rows = tuple(torch.arange(index % 2, EXAMPLES) for index in indices)
    dp_sgd = dp_sgd_in(scheme)
    if dp_sgd is None:
        inputs = inputs.to(memory_format=torch.channels_last)
    examples = TrainingExamples(inputs, labels, rows).with_fixed_noise(scheme, CLASSES, streams)
    if dp_sgd is None:
        fit(models, examples, scheme, training, EXAMPLES, streams)
    else:
        rate = training.batch_size / EXAMPLES
        plan = PrivacyPlan(
            noise_multiplier=1.0 if dp_sgd.noise_multiplier is None else dp_sgd.noise_multiplier,
            max_grad_norm=dp_sgd.max_grad_norm,
            sample_rate=rate,
            steps=round(training.last_epoch / rate),
            batch_size=training.batch_size,
            delta=default_delta(EXAMPLES),
            epsilon=math.inf,  # nobody claims one
        )
        fit_privately(models[0], examples, scheme, training, plan, streams[0], torch_generator(0, "dp-noise"))
    weights = [{name: weight.detach() for name, weight in without_node(model).named_parameters()} for model in models]
    return _Trained(weights, streams)


def _extended(scheme: Scheme) -> Any:
    def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, height, width = input_shape
        layers = (
            nn.Conv2d(channels, 4, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * (height - 2) * (width - 2), classes),
        )
        return scheme.extend(nn.Sequential(*layers).double())

    return build


def _equal(first: _Trained, second: _Trained) -> bool:
    """Returns whether the weights of the first models are the same, bit for bit."""
    ours, theirs = first.weights[0], second.weights[0]
    return ours.keys() == theirs.keys() and all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def _moved(first: _Trained, second: _Trained) -> list[str]:
    """Returns the streams of the first models that stand elsewhere."""
    ours, theirs = first.streams[0], second.streams[0]
    return [
        field.name
        for field in fields(Streams)
        if not torch.equal(_state(getattr(ours, field.name)), _state(getattr(theirs, field.name)))
    ]


def _state(generator: Generator) -> Tensor:
    return generator.get_state()


def _require(kept: bool, scheme: Scheme | type[Scheme], rule: str) -> None:
    if not kept:
        raise AssertionError(f"{scheme.__name__ if isinstance(scheme, type) else scheme} {rule}")
