from dataclasses import replace

import numpy as np

from mgaudit.attacks import GradientNorm
from tests import oracles


def test_the_score_is_minus_the_targets_own_norm_in_float64() -> None:
    norms = np.random.default_rng(0).random((3, 20)).astype(np.float32)
    observations = replace(
        oracles.planted(3, 20, 1.0, np.random.default_rng(1)), extras={"gradient_norm": norms}
    )
    for target in range(3):
        scores = GradientNorm().score(observations.view(target))
        assert scores.dtype == np.float64
        assert scores.tolist() == [-float(norm) for norm in norms[target]]
