from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.synthetic import TEACHER_WIDTH, teacher_outputs

SEED = 0


def synthetic(options: str, seed: int = SEED) -> Dataset:
    return load(f"synthetic:{options}", None, np.random.default_rng(seed))


def class_means(dataset: Dataset) -> np.ndarray:
    return np.stack(
        [
            dataset.inputs[dataset.labels == label].mean(axis=0)
            for label in range(len(dataset.classes))
        ]
    )


@pytest.mark.parametrize("separation", [0.0, 1.0, 6.0])
def test_clusters_are_as_far_apart_as_asked_and_have_unit_variance(separation: float) -> None:
    dataset = synthetic(f"clusters,features=6,classes=4,size=40000,separation={separation}")
    means = class_means(dataset)
    # 10,000 examples a class: each mean is off by 0.01 in each direction, a distance by about 0.014
    # along itself; where the means are equal, their distance is sqrt(2 * 6) * 0.01.
    for mean, other in combinations(means, 2):
        assert abs(np.linalg.norm(mean - other) - separation) < (0.06 if separation else 0.08)
    within = dataset.inputs - means[dataset.labels]
    assert np.allclose(np.cov(within.T), np.eye(6), atol=0.03)
    assert np.bincount(dataset.labels).tolist() == [10_000] * 4
    assert len(dataset.test_labels) == 20_000
    test_means = np.stack(
        [dataset.test_inputs[dataset.test_labels == label].mean(axis=0) for label in range(4)]
    )
    assert np.allclose(test_means, means, atol=0.08)


def test_clusters_point_in_random_directions() -> None:
    first, second = (class_means(synthetic("separation=50,size=400", seed)) for seed in (1, 2))
    assert np.abs(first - second).max() > 3
    assert (np.abs(first) > 1).sum() > len(first) * 3  # not along the coordinate axes


def test_the_teachers_outputs_agree_with_a_slow_oracle_and_have_mean_0_and_variance_1() -> None:
    draw = np.random.default_rng(3)
    hidden = draw.standard_normal((5, 3))
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    outer = draw.standard_normal((2, 5))
    x = draw.standard_normal((400_000, 3))
    outputs = teacher_outputs(x, hidden, outer)
    assert outputs.shape == (400_000, 2)
    assert np.allclose(outputs.mean(axis=0), 0, atol=0.01)
    assert np.allclose(outputs.var(axis=0), 1, atol=0.02)
    relu = np.maximum(x @ hidden.T, 0)
    for c in range(2):
        slow = [
            sum(
                outer[c, h]
                * (max(sum(hidden[h, f] * point[f] for f in range(3)), 0) - relu.mean(axis=0)[h])
                for h in range(5)
            )
            for point in x[:20]
        ]
        sd = np.sqrt(
            sum(
                outer[c, h] * outer[c, k] * np.cov(relu.T)[h, k]
                for h, k in product(range(5), repeat=2)
            )
        )
        assert np.allclose(outputs[:20, c], np.array(slow) / sd, atol=0.02)


def test_a_teacher_labels_by_the_inputs_and_separation_0_says_nothing_of_them() -> None:
    def spread(separation: float) -> float:
        dataset = synthetic(f"teacher,features=3,classes=3,size=30000,separation={separation}")
        counts = np.bincount(dataset.labels)
        assert counts.min() > 1500
        return float(np.linalg.norm(class_means(dataset), axis=1).max())

    assert spread(0) < 0.06
    assert spread(1000) > 0.3
    assert spread(0) < spread(0.5) < spread(1000)


def test_a_teacher_without_noise_is_a_function_of_the_input() -> None:
    dataset = synthetic("teacher,features=1,classes=2,size=2000,separation=1e6")
    ordered = dataset.labels[np.argsort(dataset.inputs[:, 0])]
    assert (np.diff(ordered) != 0).sum() <= 2  # in one dimension f is linear on either side of 0
    noisy = synthetic("teacher,features=1,classes=2,size=2000,separation=0.5")
    assert (np.diff(noisy.labels[np.argsort(noisy.inputs[:, 0])]) != 0).sum() > 100


def test_a_teachers_noise_has_the_scale_that_it_should() -> None:
    """Of two classes, the label is 1 with probability Phi(separation (f_1 - f_0) / sqrt(2))."""
    features, separation = 5, 1.5
    dataset = synthetic(f"teacher,features={features},classes=2,size=20000,separation={separation}")
    draw = np.random.default_rng(SEED)
    hidden = draw.standard_normal((TEACHER_WIDTH, features))
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    outer = draw.standard_normal((2, TEACHER_WIDTH))
    places = [int(origin.removeprefix("example ")) for origin in dataset.origins]
    inputs = draw.standard_normal((30_000, features))[places]
    assert np.allclose(dataset.inputs, inputs, atol=1e-6)
    difference = np.diff(teacher_outputs(inputs, hidden, outer), axis=1)[:, 0]

    def z(scale: float) -> float:
        """The score statistic of the scale: standard normal where it is the right one."""
        chance = stats.norm.cdf(scale * difference / np.sqrt(2))
        errors = (dataset.labels - chance) * difference
        return float(abs(errors.sum()) / np.sqrt((chance * (1 - chance) * difference**2).sum()))

    assert z(separation) < 3
    assert min(z(separation * 0.9), z(separation * 1.1), z(-separation)) > 4


@pytest.mark.parametrize("kind", ["clusters", "teacher"])
def test_the_seed_determines_everything(kind: str) -> None:
    assert (
        synthetic(kind).digest()
        == synthetic(f"kind={kind}").digest()
        != synthetic(kind, seed=1).digest()
    )
    assert synthetic(kind).inputs.dtype == np.float32


def test_sizes_and_the_draw_of_examples() -> None:
    whole = synthetic("size=100,features=7,classes=5")
    assert whole.inputs.shape == (100, 7)
    assert whole.test_inputs.shape == (50, 7)
    some = load("synthetic:size=100,features=7,classes=5", 30, np.random.default_rng(SEED))
    assert np.array_equal(some.inputs, whole.inputs[:30])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("rings", "kind must be 'clusters' or 'teacher', got 'rings'"),
        ("classes=1", "classes must be a finite number >= 2, got 1"),
        ("teacher,features=0", "features must be a finite number >= 1, got 0"),
        ("features=3", "features must be >= 4, the number of classes, .*, got 3"),
        ("size=7", "size must be >= 8, .*, got 7"),
        ("separation=-1", "separation must be a finite number >= 0, got -1"),
        ("separation=nan", "separation must be a finite number >= 0, got nan"),
    ],
)
def test_an_option_out_of_range_is_refused(options: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"synthetic.{message}"):
        synthetic(options)
