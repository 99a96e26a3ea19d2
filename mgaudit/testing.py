"""The contracts of attacks, networks and noise schemes, for testing your own.

A contract is a list of rules. All built-in attacks, networks and schemes satisfy them. Each check
takes seconds on small synthetic data, and raises AssertionError with one line that names the rule.

The *planted data* (`planted`) are outputs of models that do not exist. Members' phi, the logit of
the label's probability, is higher by a known shift.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import norm

from mgaudit.attacks import Attack, Observations
from mgaudit.attacks.roc import roc
from mgaudit.errors import UsageError
from mgaudit.study.extras import EXTRAS, extras_in
from mgaudit.targets.contract import check_per_example_gradients, check_stack, check_target
from mgaudit.targets.fitting.recipe import Target
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.scheme_contract import check_scheme

__all__ = ["check_attack", "check_network", "check_scheme", "observations_of", "planted"]

# On planted data, phi ~ N(difficulty, 1), plus SHIFT for members, with two queries. The largest
# expected AUC (MOST) is that of an attack that knows the difficulty: a shift of 1.5 in noise of
# variance 1/2 gives an AUC of cdf(1.5). For an attack that does not know the difficulty (BLIND),
# the variance is larger by 9. TELL_DIFFICULTY are the needs that can reveal it.
SHIFT = 1.5
MOST = float(norm.cdf(SHIFT))
SD_OF_DIFFERENCE = np.sqrt(2 * 9.5)
BLIND = float(norm.cdf(SHIFT / SD_OF_DIFFERENCE))
TELL_DIFFICULTY = frozenset({"shadows", "features"})
# With the shift CLEAR_SHIFT, every useful attack reaches an AUC of CLEAR_AUC.
CLEAR_SHIFT, CLEAR_AUC = 3.0, 0.6
CHANCE = 0.01  # random error of an AUC on the planted data
MOST_TARGETS = 4  # models that are attacked in a check
TOLERANCE = 1e-9
POPULATION = 500

Floats = NDArray[np.float64]


def check_attack(attack: Attack) -> None:
    """Raises AssertionError, naming the rule in one line, where an attack breaks the contract.

    Every example has a finite score, also an example on which all shadows or no shadow trained. A
    higher score means member, and the AUC on the planted data exceeds the attack's `planted_auc`.
    Without memorisation (a shift of 0), the AUC is 1/2 up to random error. Scores do not depend on
    the target's own membership, on the order of the examples or on the order of the shadows, and
    are identical when they are computed again. The attack does not change the arrays that it reads.

    >>> from mgaudit.attacks import LossThreshold
    >>> check_attack(LossThreshold())
    """
    check_scores(attack)
    check_power(attack)
    for models in (4, 8):
        generator = np.random.default_rng(models)
        observations = planted(models, 1000, 0.0, generator, queries=2, classes=3)
        check_null(attack, observations)


def check_scores(attack: Attack) -> None:
    """Raises AssertionError where an attack breaks a rule of `check_attack`.

    The rules about the AUC are not checked.
    """
    _check_facts(attack)
    observations = _observed(seed=0)
    for array in (observations.logits, observations.labels, observations.membership):
        array.setflags(write=False)
    scores = _scores(attack, observations, 0)
    again = _scores(attack, observations, 0)
    rule = "must return identical scores for identical observations"
    _require(np.array_equal(scores, again), attack, rule)
    is_unchanged = observations.is_equal(_observed(seed=0))
    _require(is_unchanged, attack, "must not change the arrays that it reads")
    _check_one_sided(attack, observations)
    _check_order(attack, observations, scores)
    _check_secrecy(attack, observations, observations)
    if "shadows" in attack.needs:
        # The naive adversary: shadows of another ensemble with the same labels and membership.
        plain = replace(
            _observed(seed=1),
            labels=observations.labels,
            membership=observations.membership,
            population_labels=observations.population_labels,
        )
        _check_secrecy(attack, observations, plain)


def check_network(
    network: Target, input_shape: tuple[int, ...] = (1, 8, 8), classes: int = 3
) -> None:
    """Raises AssertionError, naming the rule in one line, where a network breaks the contract.

    `network(input_shape, classes)` builds the network, where `input_shape` is the shape of one
    example. The network's logits are finite and, at evaluation, depend only on the example. The
    seed determines its weights, and its state_dict contains them and all other state. Models can be
    trained in a stack (together, by vectorised operations), and the norms of per-example gradients
    are computed correctly; both are not checked for a network with BatchNorm, dropout or
    the like, which is trained one model at a time and without DP-SGD.

    >>> from mgaudit.targets.networks.mlp import MLP
    >>> check_network(MLP)
    """
    name = getattr(network, "__name__", repr(network))
    try:
        traits = check_target(name, network, input_shape, classes)
        if traits.per_example:
            check_stack(name, network, input_shape, classes, traits.channels_last)
            check_per_example_gradients(name, network, input_shape, classes)
    except UsageError as error:
        raise AssertionError(str(error)) from error
    except RAISED as error:
        message = f"{name} must be a network that can be trained: {error_line(error)}"
        raise AssertionError(message) from error


def check_null(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None = None,
    most_targets: int = MOST_TARGETS,
) -> None:
    """Raises AssertionError where the AUC differs from 0.5 for models without memorisation.

    The first `most_targets` models are attacked. The mean of their AUCs may differ from 0.5 by four
    standard errors. `shadows`, if given, are the shadows of a naive adversary.
    """
    aucs = _aucs(attack, observations, shadows, most_targets)
    variances = []
    for row in observations.membership[: len(aucs)]:
        members = int(row.sum())
        others = int((~row).sum())
        # The variance of Mann and Whitney's statistic for equal distributions.
        variances.append((members + others + 1) / (12 * members * others))
    variance_of_mean = sum(variances) / len(variances) ** 2
    error = 4 * float(np.sqrt(variance_of_mean))
    mean = float(aucs.mean())
    rule = f"must have an AUC of 0.5 ± {error:.3f} where nothing leaks, got {mean:.3f}"
    _require(abs(mean - 0.5) < error, attack, rule)


def _check_facts(attack: Attack) -> None:
    """Raises AssertionError where `cost`, `source` or `needs` of the attack breaks a rule."""
    _require(isinstance(attack, Attack), attack, "must extend mgaudit.attacks.Attack")
    for fact in ("cost", "source"):
        is_text = isinstance(getattr(attack, fact), str)
        _require(is_text, attack, f"must have a text for its {fact}")
    _require(isinstance(attack.needs, frozenset), attack, "must have a frozenset for its needs")
    try:
        extras_in(attack.needs)
    except ValueError as error:
        raise AssertionError(f"{attack!r}: {error}") from error


def _check_one_sided(attack: Attack, observations: Observations) -> None:
    """Raises AssertionError where examples on which all or no shadows trained have no score."""
    membership = observations.membership.copy()
    membership[1:, 5], membership[1:, 6] = True, False
    _scores(attack, replace(observations, membership=membership), 0)


def _check_order(attack: Attack, observations: Observations, scores: Floats) -> None:
    """Raises AssertionError where the order of examples or shadows changes a score.

    `scores` (examples,) are those of target 0.
    """
    models, examples = observations.membership.shape
    generator = np.random.default_rng(1)
    order = generator.permutation(examples)
    moved = _scores(attack, reordered(observations, 1, order), 0)
    close = np.allclose(scores[order], moved, atol=TOLERANCE)
    _require(
        close, attack, "must give an example the same score whatever the order of the examples"
    )
    shadows = np.concatenate([[0], 1 + generator.permutation(models - 1)])
    moved = _scores(attack, reordered(observations, 0, shadows), 0)
    close = np.allclose(scores, moved, atol=TOLERANCE)
    _require(close, attack, "must not depend on the order of the shadows")


def _check_secrecy(attack: Attack, observations: Observations, shadows: Observations) -> None:
    """Raises AssertionError where scores depend on the target's own membership.

    `shadows` are the `observations` themselves or, for the naive adversary, another ensemble.
    """
    target = 3
    membership = observations.membership.copy()
    membership[target] = ~membership[target]
    changed = replace(observations, membership=membership)
    # Without a naive adversary, the shadows are models of the same ensemble as the target.
    changed_shadows = changed
    if shadows is not observations:
        changed_shadows = replace(shadows, membership=membership)
    before = _scores(attack, observations, target, shadows)
    after = _scores(attack, changed, target, changed_shadows)
    close = np.allclose(before, after, atol=TOLERANCE)
    _require(close, attack, "must not depend on the target's own membership")


def check_power(
    attack: Attack, most_targets: int = MOST_TARGETS, most: float | None = None
) -> None:
    """Raises AssertionError where the AUC on the planted data is too low or impossibly high.

    The AUC must exceed the attack's `planted_auc`. The first `most_targets` models are attacked.
    `most` is the largest possible expected AUC. By default it is that of an attack that knows the
    difficulty of each example if the attack's needs can reveal the difficulty, otherwise that of an
    attack that does not know the difficulty.
    """
    if most is None:
        most = MOST if attack.needs & TELL_DIFFICULTY else BLIND
    easy_aucs = _aucs(attack, _observed(seed=0), most_targets=most_targets)
    mean = float(easy_aucs.mean())
    rule = (
        f"must score members higher: an AUC above {CLEAR_AUC} is easy on the planted data, "
        f"got {mean:.3f}"
    )
    _require(mean > CLEAR_AUC, attack, rule)
    generator = np.random.default_rng(0)
    observations = planted(16, 1000, SHIFT, generator, queries=2, classes=3)
    aucs = _aucs(attack, observations, most_targets=most_targets)
    mean = float(aucs.mean())
    least = attack.planted_auc
    rule = f"must have an AUC above its planted_auc {least:g} on the planted data, got {mean:.3f}"
    _require(mean > least, attack, rule)
    rule = (
        f"must not have an AUC above {most:.3f} on the planted data: "
        f"no attack with its needs can, got {mean:.3f}"
    )
    _require(mean < most + CHANCE, attack, rule)


def _scores(
    attack: Attack, observations: Observations, target: int, shadows: Observations | None = None
) -> NDArray[np.float64]:
    """Returns the scores (examples,) of one target, or raises AssertionError for invalid ones."""
    # Observations as their own shadows are not a naive adversary.
    other = None if shadows is observations else shadows
    try:
        scores = attack.score(observations.view(target, other))
    except Exception as error:  # whatever a user's code may raise
        line = " ".join(str(error).split())
        message = f"{attack!r} must score every view, but fails: {type(error).__name__}: {line}"
        raise AssertionError(message) from error
    examples = observations.membership.shape[1]
    rule = f"must return float64 scores of shape ({examples},), one for each example"
    is_array = isinstance(scores, np.ndarray)
    _require(is_array, attack, f"{rule}, got {type(scores).__name__}")
    valid = scores.dtype == np.float64 and scores.shape == (examples,)
    _require(valid, attack, f"{rule}, got {scores.dtype} of shape {scores.shape}")
    finite = bool(np.isfinite(scores).all())
    _require(finite, attack, "must give every example a finite score")
    return scores


def _aucs(
    attack: Attack,
    observations: Observations,
    shadows: Observations | None = None,
    most_targets: int = MOST_TARGETS,
) -> Floats:
    """Returns the AUCs (targets,) of the attack on the first `most_targets` models."""
    targets = range(min(len(observations.membership), most_targets))
    scores = [_scores(attack, observations, target, shadows) for target in targets]
    curves = [roc(row, observations.membership[target]) for target, row in enumerate(scores)]
    return np.array([float(curve.auc()) for curve in curves])


def _observed(seed: int) -> Observations:
    """Returns small planted data on which members are easy to detect."""
    generator = np.random.default_rng(seed)
    return planted(8, 120, CLEAR_SHIFT, generator, queries=2, classes=3)


def _require(holds: bool, attack: object, rule: str) -> None:
    """Raises AssertionError with the attack and the rule unless `holds`."""
    if not holds:
        raise AssertionError(f"{attack!r} {rule}")


def reordered(observations: Observations, axis: int, order: NDArray[np.integer]) -> Observations:
    """Returns the observations with models (axis 0) or examples (axis 1) in another order.

    `order` are the indices of the models or examples in the new order. The observations need a
    population, whose points are not reordered.
    """
    assert observations.population_logits is not None
    labels, population = observations.labels, observations.population_logits
    population_extras = dict(observations.population_extras)
    if axis == 1:
        labels = labels[order]
    else:
        population = population[order]
        population_extras = {name: values[order] for name, values in population_extras.items()}
    return replace(
        observations,
        logits=observations.logits.take(order, axis),
        labels=labels,
        membership=observations.membership.take(order, axis),
        population_logits=population,
        extras={name: values.take(order, axis) for name, values in observations.extras.items()},
        population_extras=population_extras,
    )


def observations_of(
    phi: Floats, membership: NDArray[np.bool_], population: Floats | None = None
) -> Observations:
    """Returns two-class observations whose logit confidence is exactly `phi`; all labels are 0.

    `phi`, in nats, is (models, examples) or (models, examples, queries), and `membership` is
    (models, examples). `population` (models, population, queries), if given, is the logit
    confidence of a population.
    """
    if phi.ndim == 2:
        phi = phi[:, :, np.newaxis]
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)
    labels = np.zeros(phi.shape[1], dtype=np.int64)
    if population is None:
        return Observations(logits, labels, membership)
    others = np.stack([population, np.zeros_like(population)], axis=-1)
    population_labels = np.zeros(population.shape[1], dtype=np.int64)
    return Observations(logits, labels, membership, others, population_labels)


def planted(
    models: int,
    examples: int,
    shift: float,
    generator: np.random.Generator,
    queries: int = 1,
    classes: int = 2,
) -> Observations:
    """Returns observations whose phi is N(difficulty of the example, 1), plus `shift` for members.

    phi is the logit confidence in nats. The difficulty is N(0, 9), one value for each example. The
    membership consists of fair coins, and there is a population of POPULATION points. With two
    classes, all labels are 0. With more classes, the labels and the distribution of the other
    classes' logits are random, and phi is the same up to rounding. All extras are synthetic.
    """
    membership = generator.random((models, examples)) < 0.5
    difficulty = 3 * generator.standard_normal((1, examples, 1))
    noise = generator.standard_normal((models, examples, queries))
    others = 3 * generator.standard_normal((1, POPULATION, 1))
    population = others + generator.standard_normal((models, POPULATION, queries))
    phi = difficulty + noise + shift * membership[:, :, np.newaxis]
    extras: dict[str, NDArray[np.floating]] = {}
    population_extras: dict[str, NDArray[np.floating]] = {}
    for name, extra in EXTRAS.items():
        extras[name] = extra.made_up(difficulty, phi, generator)
        if extra.of_population:
            population_extras[name] = extra.made_up(others, population, generator)
    observations = replace(
        observations_of(phi, membership, population),
        extras=extras,
        population_extras=population_extras,
    )
    if classes == 2:
        return observations
    labels = generator.integers(0, classes, examples)
    population_labels = generator.integers(0, classes, POPULATION)
    return replace(
        observations,
        logits=_several_classes(phi, labels, classes, generator),
        labels=labels,
        population_logits=_several_classes(population, population_labels, classes, generator),
        population_labels=population_labels,
    )


def _several_classes(
    phi: Floats, labels: NDArray[np.int64], classes: int, generator: np.random.Generator
) -> Floats:
    """Returns logits (models, examples, queries, classes) whose logit confidence is `phi`.

    `phi` is (models, examples, queries) and `labels` (examples,) in 0..classes - 1. The logits of
    the other classes are random, and their exponentials sum to 1.
    """
    random_logits = generator.standard_normal((*phi.shape, classes - 1))
    others = log_softmax(random_logits, axis=-1)
    logits = np.empty((*phi.shape, classes))
    for example, label in enumerate(labels):
        logits[:, example, :, label] = phi[:, example]
        other_classes = np.arange(classes) != label
        logits[:, example][..., other_classes] = others[:, example]
    return logits
