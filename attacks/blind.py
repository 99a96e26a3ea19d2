"""A blind baseline: an attack that sees no model, only the examples themselves.

If it finds members, members and non-members come from different sources, and attacks on a model may
measure the sources instead of what the model memorised (Das, Zhang and Tramer 2024).
"""

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
COMPONENTS = 32  # principal components of the inputs, if they have more features
MOST_CLASSES = 200  # with more, the class is a number instead of a category
Floats = NDArray[np.float64]


def blind_scores(
    inputs: NDArray[np.floating] | None,
    labels: NDArray[np.int64] | None,
    membership: NDArray[np.bool_],
    folds: NDArray[np.int64],
    seed: int,
) -> Floats:
    """Returns the log-odds of membership (targets, examples) from inputs and labels alone.

    A classifier (gradient-boosted trees) predicts each target's membership. It is cross-fitted: the
    examples of a fold are scored by a classifier that was trained on the other folds.

    Args:
        inputs: The inputs (examples, ...), finite; None if they are not known.
        labels: Class numbers (examples,); None if they are not known.
        membership: Membership (targets, examples), bool.
        folds: The fold of each example (examples,), in 0..FOLDS - 1, as from `random_folds`.
        seed: Random seed of the classifier.

    Raises:
        ValueError: If neither inputs nor labels are known.
    """
    features, categorical = _features(inputs, labels, seed)
    return np.stack([_scores(features, categorical, row, folds, seed) for row in membership])


def random_folds(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Returns a random fold for each example (examples,), in 0..FOLDS - 1.

    `groups` (examples,) are integers; examples with the same number are in the same fold.
    """
    unique, group_of_example = np.unique(groups, return_inverse=True)
    fold_of_group = generator.permutation(len(unique)) % FOLDS
    folds: NDArray[np.int64] = fold_of_group[group_of_example]
    return folds


def _features(
    inputs: NDArray[np.floating] | None, labels: NDArray[np.int64] | None, seed: int
) -> tuple[Floats, list[int]]:
    """Returns features (examples, features), and the indices of those that are categories."""
    columns: list[NDArray[np.floating]] = []
    categorical = []
    if labels is not None:
        columns.append(labels[:, np.newaxis].astype(np.float64))
        if labels.max(initial=0) < MOST_CLASSES:
            categorical.append(0)
    if inputs is not None:
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        columns.append(_components(flat, seed) if flat.shape[1] > COMPONENTS else flat)
    if not columns:
        raise ValueError("inputs or labels must be known")
    return np.concatenate(columns, axis=1), categorical


def _components(flat: Floats, seed: int) -> Floats:
    """Returns the principal components of the inputs, and of each input its mean, sd and extremes.

    The components do not see small differences between sources, such as the range of the values.
    """
    from sklearn.decomposition import PCA  # takes a second to import

    count = min(COMPONENTS, *flat.shape)
    # The randomised solver is fast for thousands of features, and here precise enough.
    components = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(flat)
    summary = np.column_stack([flat.mean(axis=1), flat.std(axis=1), flat.min(axis=1), flat.max(1)])
    return np.concatenate([components, summary], axis=1)


def _scores(
    features: Floats,
    categorical: list[int],
    members: NDArray[np.bool_],
    folds: NDArray[np.int64],
    seed: int,
) -> Floats:
    """Returns the cross-fitted log-odds (examples,) of one target's membership."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second to import

    scores = np.zeros(len(members))
    for fold in range(FOLDS):
        held_out = folds == fold
        known = members[~held_out]
        if not held_out.any() or known.all() or not known.any():
            continue  # nothing to score, or only one kind to learn from
        classifier = HistGradientBoostingClassifier(
            max_iter=50,
            max_leaf_nodes=15,
            categorical_features=categorical or None,
            early_stopping=False,
            random_state=seed,
        )
        classifier.fit(features[~held_out], known)
        # The share of members differs between folds, which would bias a comparison across folds.
        base = np.log(known.mean() / (1 - known.mean()))
        scores[held_out] = classifier.decision_function(features[held_out]) - base
    return scores
