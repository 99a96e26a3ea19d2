"""The wrong versions of the code for `mutants.py`: file, exact source, replacement and tests.

The snippet must occur exactly once in its file. A mutant must change what the code computes on some
valid input.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a file; tests are files or `file::function`, relative to the project."""

    name: str
    path: str
    snippet: str
    replacement: str
    tests: tuple[str, ...]

    def mutated(self, source: str) -> str:
        """Returns the source of the file with the mistake in it."""
        return source.replace(self.snippet, self.replacement)


def of_file(
    path: str, tests: Iterable[str], mistakes: Iterable[tuple[str, str, str]]
) -> list[Mutant]:
    """Returns the mutants of one file from their (name, snippet, replacement)."""
    return [
        Mutant(name, path, snippet, replacement, tuple(tests))
        for name, snippet, replacement in mistakes
    ]


ATTACKS = [
    *of_file(
        "attacks/lira.py",
        ["tests/attacks/test_lira.py"],
        [
            (
                "online LiRA has the wrong sign",
                "log_normal(phi, mean_in, sd_in) - log_normal(phi, mean_out, sd_out)",
                "log_normal(phi, mean_out, sd_out) - log_normal(phi, mean_in, sd_in)",
            ),
            (
                "offline LiRA is two-sided",
                "evidence = (phi - mean_out) / sd_out",
                "evidence = abs(phi - mean_out) / sd_out",
            ),
            (
                "the pooled variance is summed over queries",
                "squares.sum(axis=0, keepdims=True)",
                "squares.sum(axis=1, keepdims=True)",
            ),
            (
                "the pooled variance has one degree of freedom too many per example",
                "freedom = np.maximum(count - 1, 0)",
                "freedom = np.maximum(count, 0)",
            ),
            (
                "the log density adds the log of the sd",
                "** 2 - np.log(sd)",
                "** 2 + np.log(sd)",
            ),
            (
                "LiRA takes the variance of non-members for members",
                "self._sd(shadows.count_in, shadows.squares_in, own)",
                "self._sd(shadows.count_in, shadows.squares_out, own)",
            ),
            (
                "exactly 32 shadows do not suffice for an example's own variance",
                "enough_in = shadows.count_in >= ENOUGH_FOR_OWN_VARIANCE",
                "enough_in = shadows.count_in > ENOUGH_FOR_OWN_VARIANCE",
            ),
        ],
    ),
    *of_file(
        "attacks/rmia.py",
        ["tests/attacks/test_comparing_attacks.py"],
        [
            (
                "RMIA compares with the world without the example alone",
                "(mean_in + mean_out) / 2",
                "mean_out",
            ),
            (
                "offline RMIA exchanges a and 1 - a",
                "self.a * mean_out + (1 - self.a)",
                "(1 - self.a) * mean_out + self.a",
            ),
            (
                "RMIA averages over queries instead of taking the median",
                "np.median(ratio, axis=-1)",
                "np.mean(ratio, axis=-1)",
            ),
            (
                "an equal ratio does not reach gamma = 1",
                'side="right"',
                'side="left"',
            ),
            (
                "the population share multiplies by gamma",
                "self.score(view) - math.log(gamma)",
                "self.score(view) + math.log(gamma)",
            ),
        ],
    ),
    *of_file(
        "attacks/bavaria.py",
        ["tests/attacks/test_comparing_attacks.py", "tests/attacks/test_drift.py"],
        [
            (
                "BaVarIA has the wrong sign",
                "log_ratio = log_density_in - log_density_out",
                "log_ratio = log_density_out - log_density_in",
            ),
            (
                "BaVarIA ignores the drift in the shadows' signals",
                "view.shadow_moments(signal, self.drift)",
                "view.shadow_moments(signal)",
            ),
        ],
    ),
    *of_file(
        "attacks/normal_inverse_gamma.py",
        ["tests/attacks/test_comparing_attacks.py"],
        [
            (
                "the predictive scale lacks the variance of a new phi",
                "np.sqrt(sigma2 * (1 + 1 / (k + self.count)))",
                "np.sqrt(sigma2 / (k + self.count))",
            ),
            (
                "the prior strength is inverted",
                "np.asarray(1 / relative_variance, dtype=np.float64)",
                "np.asarray(relative_variance, dtype=np.float64)",
            ),
            (
                "the bias correction of the log variances has the wrong sign",
                "(np.log(values) - digamma(values))[index]",
                "(digamma(values) - np.log(values))[index]",
            ),
            (
                "the regression on the other side counts each example once",
                "self.count[both] / self.count[both].sum()",
                "np.ones(both.sum()) / both.sum()",
            ),
        ],
    ),
    *of_file(
        "attacks/reference.py",
        ["tests/attacks/test_comparing_attacks.py"],
        [
            (
                "the reference attack ranks the loss from the wrong end",
                "(view.shadow_signal(logit_confidence) - phi) / width",
                "(phi - view.shadow_signal(logit_confidence)) / width",
            ),
            (
                "the reference attack compares with shadows that trained on the example",
                "outside = view.references_out",
                "outside = view.references_in",
            ),
        ],
    ),
    *of_file(
        "attacks/calibration.py",
        ["tests/attacks/test_comparing_attacks.py"],
        [
            (
                "calibration has the wrong sign",
                "mean_out - view.target_signal(loss)",
                "view.target_signal(loss) - mean_out",
            ),
            (
                "calibration compares with shadows that trained on the example",
                "_, mean_out = view",
                "mean_out, _ = view",
            ),
        ],
    ),
    *of_file(
        "attacks/population.py",
        ["tests/attacks/test_comparing_attacks.py"],
        [
            (
                "the population attack has the wrong sign",
                "return -share_below(",
                "return share_below(",
            )
        ],
    ),
    *of_file(
        "attacks/quantile.py",
        ["tests/attacks/test_quantile.py"],
        [
            (
                "the quartiles are sorted across examples",
                "np.sort(predicted, axis=0)",
                "np.sort(predicted, axis=1)",
            ),
            (
                "sigma is the interquartile range itself",
                "np.maximum((high - low) / NORMAL_IQR,",
                "np.maximum(high - low,",
            ),
            (
                "the z-score has the wrong sign",
                "(target_margin - mu) / sigma",
                "(mu - target_margin) / sigma",
            ),
        ],
    ),
    *of_file(
        "attacks/label_only.py",
        ["tests/attacks/test_label_only.py"],
        [
            (
                "a tie for the first class counts as a right label",
                "(label_is_largest / is_largest.sum(axis=-1)).mean(axis=-1)",
                "label_is_largest.mean(axis=-1)",
            ),
            (
                "the first class is sought over queries",
                "logits.max(axis=-1, keepdims=True)",
                "logits.max(axis=-2, keepdims=True)",
            ),
        ],
    ),
    *of_file(
        "attacks/gradient.py",
        ["tests/attacks/test_gradient_norm.py"],
        [("the gradient norm has the wrong sign", "return -view", "return view")],
    ),
    *of_file(
        "attacks/threshold.py",
        [
            "tests/attacks/test_signals.py",
            "tests/attacks/test_attack_contract.py::test_an_attack_has_the_power_that_it_states_and_no_more_than_there_is",
        ],
        [
            (
                "the loss has the wrong sign",
                "-view.target_signal(loss).mean(axis=-1)",
                "view.target_signal(loss).mean(axis=-1)",
            ),
            (
                "the loss is the largest over queries",
                "-view.target_signal(loss).mean(axis=-1)",
                "-view.target_signal(loss).max(axis=-1)",
            ),
            (
                "the entropy has the wrong sign",
                "-view.target_signal(entropy)",
                "view.target_signal(entropy)",
            ),
            (
                "the modified entropy has the wrong sign",
                "-view.target_signal(modified_entropy)",
                "view.target_signal(modified_entropy)",
            ),
        ],
    ),
    *of_file(
        "attacks/signals.py",
        ["tests/attacks/test_signals.py"],
        [
            (
                "logits are multiplied by the temperature",
                "logits.astype(np.float64) / self.temperature",
                "logits.astype(np.float64) * self.temperature",
            ),
            (
                "the modified entropy weighs the label's term by its own probability",
                "rest_of_label = np.take_along_axis(rest, index, axis=-1)",
                "rest_of_label = np.take_along_axis(p, index, axis=-1)",
            ),
        ],
    ),
    *of_file(
        "attacks/shadow_classifier.py",
        [
            "tests/attacks/test_shadow_classifier.py::test_scores_equal_the_slow_oracles",
            "tests/attacks/test_shadow_classifier.py::test_the_order_of_examples_plays_no_part_even_among_ties",
        ],
        [
            (
                "the classifier learns members as non-members",
                "np.repeat([True, False], count)",
                "np.repeat([False, True], count)",
            ),
            (
                "the classifier is trained on the outputs of lowest phi",
                "ranked[(2 * np.arange(count) + 1) * len(ranked) // (2 * count)]",
                "ranked[np.arange(count)]",
            ),
            (
                "outputs of equal phi keep the order of the examples",
                "order = np.lexsort([mixed, phi])",
                'order = np.argsort(phi, kind="stable")',
            ),
            (
                (
                    "a class with enough members has its own classifier however few non-members "
                    "there are"
                ),
                "min(map(len, sides)) >= FEWEST_ROWS",
                "max(map(len, sides)) >= FEWEST_ROWS",
            ),
        ],
    ),
    *of_file(
        "attacks/shadow_moments.py",
        ["tests/attacks/test_observations.py", "tests/attacks/test_lira.py"],
        [
            (
                "the target stays in the shadows' sums",
                "getattr(self, part.name) - getattr(removed, part.name)",
                "getattr(self, part.name)",
            ),
            (
                "a missing mean is moved the wrong way",
                "self.mean_in - gap",
                "self.mean_in + gap",
            ),
            (
                "squares are taken about zero",
                "squares - np.nan_to_num(mean) * total",
                "squares",
            ),
        ],
    ),
    *of_file(
        "attacks/references.py",
        ["tests/attacks/test_references.py"],
        [
            (
                "one reference too many is chosen",
                "candidates & (ranks < most)",
                "candidates & (ranks <= most)",
            ),
            (
                "references are chosen by the values of the signal",
                "np.where(candidates, _keys(signal, candidates), _LAST)",
                "np.where(candidates, _mixed(signal.copy().view(np.uint64)), _LAST)",
            ),
        ],
    ),
    *of_file(
        "attacks/membership_layout.py",
        ["tests/attacks/test_references.py"],
        [
            (
                "the count contains the model itself",
                "counts = totals - membership[target]",
                "counts = totals",
            ),
            (
                "only members that are too common are found",
                "abs(correlation) <= threshold for correlation in correlations)\n    limits",
                "correlation <= threshold for correlation in correlations)\n    limits",
            ),
            (
                "runs are counted from 0",
                "(members[1:] != members[:-1]).sum()) + 1",
                "(members[1:] != members[:-1]).sum()) + 40",
            ),
            (
                "only pairs with few members in common are found",
                "fewer = np.minimum(agreements, examples - agreements)",
                "fewer = agreements",
            ),
        ],
    ),
    *of_file(
        "attacks/blind.py",
        ["tests/attacks/test_blind.py"],
        [
            (
                "the blind baseline scores examples that it was trained on",
                "classifier.fit(features[~held_out], known)",
                "classifier.fit(features, members)",
            ),
            (
                "the labels are not used",
                "    if labels is not None:\n        columns",
                "    if labels is not None and inputs is not None:\n        columns",
            ),
        ],
    ),
    *of_file(
        "attacks/observation_checks.py",
        ["tests/attacks/test_observations.py"],
        [
            (
                "coarse logits raise an alarm of overlap",
                "max(3 * by_chance, COINCIDENCES)",
                "COINCIDENCES",
            ),
        ],
    ),
    *of_file(
        "attacks/observations.py",
        ["tests/attacks/test_observations.py", "tests/attacks/test_lira.py"],
        [
            (
                "the naive adversary gets the shadows of the targets' own ensemble",
                "self if shadows is None else shadows",
                "self",
            ),
        ],
    ),
    *of_file(
        "attacks/adversary_view.py",
        ["tests/attacks/test_stacked.py", "tests/attacks/test_drift.py"],
        [
            (
                "the model before the target is no shadow",
                "[target, *self.__left_out.tolist()]",
                "[target - 1, *self.__left_out.tolist()]",
            ),
            (
                "a pseudo-target is among its own shadows",
                "np.delete(self.__shadow_numbers, shadow)",
                "np.append(np.delete(self.__shadow_numbers, shadow), model)",
            ),
            (
                "the target has a reference more than pseudo-targets",
                "AdversaryView(ensemble, self.__target, ensemble, numbers, self._lower_limits)",
                "AdversaryView(ensemble, self.__target, ensemble, numbers, self.__limits)",
            ),
            (
                "the drift of the naive adversary's target is that of a shadow",
                "return self.__shadows.with_model(self.__target, self.__observations)",
                "return self.__shadows",
            ),
            (
                "the totals of a smaller view are lost",
                "totals = self.__smaller._totals(signal, drift).plus(totals)",
                "totals = totals.plus(totals)",
            ),
        ],
    ),
    *of_file(
        "attacks/drift.py",
        ["tests/attacks/test_drift.py"],
        [
            (
                "the drift is added",
                "_centred(logits) - drift.reshape(logits.shape)",
                "_centred(logits) + drift.reshape(logits.shape)",
            ),
            (
                "the drift has the wrong sign on the population",
                "drift = _centred(of_model) - population_mean",
                "drift = population_mean - _centred(of_model)",
            ),
            (
                "logits are centred over queries",
                "values - values.mean(axis=-1, keepdims=True)",
                "values - values.mean(axis=-2, keepdims=True)",
            ),
            (
                "models and classes of the coefficients are exchanged",
                "coefficients.reshape(-1, len(logits), classes).swapaxes(0, 1)",
                "coefficients.reshape(-1, classes, len(logits)).transpose(2, 0, 1)",
            ),
            (
                "the regression has no penalty",
                "np.maximum(eigenvalues, 0.0) + penalty",
                "np.maximum(eigenvalues, 1e-9)",
            ),
            (
                "mean logits are those of the examples",
                "population_mean = _mean_logits(population_logits, mean_of)",
                "population_mean = 0 * _mean_logits(population_logits, mean_of)",
            ),
        ],
    ),
    *of_file(
        "attacks/jackknife.py",
        ["tests/attacks/test_jackknife.py"],
        [
            (
                "a target counts without its own group",
                "is_left = self.group_of_target != groups",
                "is_left = self.group_of_target == self.group_of_target",
            ),
            (
                "both factors are of the same half",
                "deviations[:, 0] * deviations[:, 1]",
                "deviations[:, 0] * deviations[:, 0]",
            ),
            (
                "the number of groups is not in the variance",
                "(number - 1) / number * products.mean()",
                "products.mean()",
            ),
            (
                "the metric without shadows is lost from a sum",
                "return first.plus(of_second)",
                "return first",
            ),
        ],
    ),
    *of_file(
        "attacks/attack.py",
        ["tests/attacks/test_jackknife.py"],
        [
            (
                "no shadow is left out",
                "score(view.without(models))",
                "score(view)",
            ),
        ],
    ),
    *of_file(
        "attacks/stacked.py",
        ["tests/attacks/test_stacked.py"],
        [
            (
                "the log-odds have the wrong sign",
                "scores[scored] = classifier.decision_function(features[scored])",
                "scores[scored] = -classifier.decision_function(features[scored])",
            ),
            (
                "pseudo-targets are chosen by position",
                "order = content_order(view.shadow_signal(logit_confidence))",
                "order = np.arange(view.shadows)",
            ),
            (
                "the target's references are those of all shadows",
                "self._features(of if is_fast else of.like_pseudo_target())",
                "self._features(of)",
            ),
            (
                "the logit drift is subtracted offline",
                'if self.online else ("none", "class")',
                'if self.online else ("none", "logits")',
            ),
        ],
    ),
    *of_file(
        "attacks/stacked_features.py",
        ["tests/attacks/test_stacked.py"],
        [
            (
                "IN and OUT references are exchanged in the ratios",
                "return log_p, mean_in.T, mean_out.T",
                "return log_p, mean_out.T, mean_in.T",
            ),
            (
                "IN and OUT are exchanged in BaVarIA's statistics",
                "of_in, of_out = _of_side(phi, posterior_in), _of_side(phi, posterior_out)",
                "of_in, of_out = _of_side(phi, posterior_out), _of_side(phi, posterior_in)",
            ),
            (
                "OUT densities are about the IN means",
                "_log_normal(phi, mean_out, moments.count_out",
                "_log_normal(phi, mean_in, moments.count_out",
            ),
            (
                "class means are divided by all points",
                "sums / np.maximum(counts, 1)",
                "sums / max(len(values), 1)",
            ),
        ],
    ),
]

RANKS = [
    *of_file(
        "attacks/ranks.py",
        [
            "tests/attacks/test_exposure.py",
            "tests/attacks/test_comparing_attacks.py::test_population_equals_its_oracle_ties_and_all",
        ],
        [("a tie counts as below", "(below + up_to) / (2 * len(ordered))", "up_to / len(ordered)")],
    ),
    *of_file(
        "attacks/exposure.py",
        ["tests/attacks/test_exposure.py"],
        [
            ("the least exposed example comes first", "np.argsort(-gaps,", "np.argsort(gaps,"),
            (
                "a non-member outranks half of itself",
                "np.where(members, 0.0, 0.5)",
                "np.where(members, 0.0, 0.0)",
            ),
            (
                "an example that few targets trained on counts like any other",
                "np.sqrt(1 / self.targets_in[compared] + 1 / self.targets_out[compared])",
                "np.ones(len(compared))",
            ),
            (
                "the ranks of non-members are those of members",
                "*_bounded_mean(ranks, outside)",
                "*_bounded_mean(ranks, membership)",
            ),
        ],
    ),
]

METRICS = [
    *of_file(
        "attacks/roc.py",
        ["tests/attacks/test_metrics.py"],
        [
            (
                "an FPR of exactly the level is not allowed",
                "self.false_positives <= allowed",
                "self.false_positives < allowed",
            ),
            (
                "a tie counts as won in the AUC",
                "self.true_positives[..., 1:] + self.true_positives[..., :-1]",
                "2 * self.true_positives[..., 1:]",
            ),
            (
                "an allowed false positive is lost to rounding",
                "np.asarray(negatives) + 1e-9",
                "np.asarray(negatives)",
            ),
            (
                "the lowest score is accepted first",
                "order = np.argsort(-scores, kind",
                "order = np.argsort(scores, kind",
            ),
            (
                "examples of one tie are accepted one by one",
                "return accepted[:, np.append(True, self.last_of_tie)]",
                "return accepted",
            ),
        ],
    ),
    *of_file(
        "attacks/metrics.py",
        ["tests/attacks/test_metrics.py"],
        [
            (
                "the advantage is that of the best threshold on the same half",
                "zip(gaps, reversed(best), strict=True)",
                "zip(gaps, best, strict=True)",
            ),
        ],
    ),
]

INTERVALS = [
    *of_file(
        "attacks/intervals.py",
        [
            "tests/attacks/test_intervals.py::test_clopper_pearson_is_the_exact_binomial_interval",
            "tests/attacks/test_intervals.py::test_resamples_draw_with_replacement_and_evenly",
            "tests/attacks/test_intervals.py::test_targets_alone_have_students_interval",
            "tests/attacks/test_intervals.py::test_examples_that_move_all_targets_alike_have_the_normal_interval",
            "tests/attacks/test_intervals.py::test_paired_differences_cancel_what_is_shared",
            "tests/attacks/test_intervals.py::test_the_p_value_of_targets_alone_is_students",
            "tests/attacks/test_intervals.py::test_coverage_whichever_effect_dominates_and_no_needless_width",
        ],
        [
            (
                "Clopper and Pearson's interval is one-sided",
                "tail = (1 - level) / 2",
                "tail = 1 - level",
            ),
            (
                "Clopper and Pearson's lower limit has one failure too few",
                "special.betaincinv(positive, failures + 1, tail)",
                "special.betaincinv(positive, failures, tail)",
            ),
            (
                "resamples draw without replacement",
                "generator.integers(0, examples, block.shape)",
                "generator.permuted(np.tile(np.arange(examples), (len(block), 1)), axis=1)",
            ),
            (
                "paired resamples are added",
                "return self + -1.0 * other",
                "return self + other",
            ),
            (
                "the variance over targets is that of one target",
                "float(numbers.per_target.var(ddof=1)) / targets",
                "float(numbers.per_target.var(ddof=1))",
            ),
            (
                "the variance over targets is biased",
                "float(numbers.per_target.var(ddof=1)) / targets",
                "float(numbers.per_target.var(ddof=0)) / targets",
            ),
            (
                "Student's t has one degree of freedom too many",
                "over_models, freedom = 0.0, targets - 1",
                "over_models, freedom = 0.0, targets",
            ),
            (
                "the variance over examples is taken over targets",
                "numbers.in_resamples.mean(axis=0)",
                "numbers.in_resamples.mean(axis=1)",
            ),
            (
                "the noise that both variances count is not subtracted",
                "max(self.over_examples - self.over_cells, 0.0)",
                "self.over_examples",
            ),
            (
                "the variance over both is not divided by the targets",
                "float(numbers.in_resamples.var(axis=1, ddof=1).mean()) / targets",
                "float(numbers.in_resamples.var(axis=1, ddof=1).mean())",
            ),
            (
                "the lower limit mirrors the logit",
                "low = value - below * above * (1 - shrink) / (below * shrink + above)",
                "low = value - below * above * (1 - shrink) / (below + above * shrink)",
            ),
            (
                "the p-value is one-sided",
                "variances.half(math.exp(log_p) / 2) - reach",
                "variances.half(math.exp(log_p)) - reach",
            ),
        ],
    ),
    *of_file(
        "attacks/single_target.py",
        ["tests/attacks/test_single_target.py"],
        [
            (
                "DeLong's shares of members are of the wrong side",
                "members_win = share_below(members, others)",
                "members_win = share_below(members, members)",
            ),
            (
                "DeLong's variance divides by the members twice",
                "others_win.var(ddof=1) / len(others)",
                "others_win.var(ddof=1) / len(members)",
            ),
            (
                "the effective number of pairs lacks 1 - AUC",
                "auc * (1 - auc) / variance",
                "auc / variance",
            ),
            (
                "the population's threshold is that of N non-members instead of N + 1",
                "fpr * (others + 1)",
                "fpr * others",
            ),
        ],
    ),
    *of_file(
        "attacks/ranks.py",
        ["tests/attacks/test_single_target.py"],
        [
            (
                "DeLong's shares count a tie as won",
                "(below + up_to) / (2 * len(ordered))",
                "up_to / len(ordered)",
            ),
        ],
    ),
    *of_file(
        "targets/datasets/near_duplicates.py",
        ["tests/targets/test_near_duplicates.py"],
        [
            (
                "a point of the second block is a neighbour of itself",
                "nearness[rows, first + rows] = np.inf",
                "nearness[rows, rows] = np.inf",
            ),
            (
                "the distances are those to the origin",
                "squares - 2 * (block @ points.T)",
                "squares - 0 * (block @ points.T)",
            ),
        ],
    ),
]

EPSILON_BOUNDS = [
    *of_file(
        "attacks/epsilon.py",
        ["tests/attacks/test_epsilon.py"],
        [
            (
                "what shows in non-members alone is overlooked",
                "np.maximum(bound(low, high), bound(1 - high, 1 - low))",
                "bound(low, high)",
            ),
            (
                "Bonferroni gives both rates the significance of one",
                "significance / (2 * thresholds_in_all)",
                "significance / thresholds_in_all",
            ),
            ("scores that equal the threshold are above it", 'side="right"', 'side="left"'),
            (
                "the threshold is judged on the half that chose it",
                "_limits(new_members, new_others, thresholds[best]",
                "_limits(seen_members, seen_others, thresholds[best]",
            ),
            (
                "the halves follow the order of the examples",
                "np.array_split(generator.permutation(others), 2)",
                "np.array_split(others, 2)",
            ),
            ("delta raises the bound", "(low - delta) / high", "(low + delta) / high"),
            (
                "the first term of a Gaussian delta has the wrong sign",
                "log_ndtr(-epsilon / mu + mu / 2)",
                "log_ndtr(epsilon / mu - mu / 2)",
            ),
            ("mu adds the quantiles", "ndtri(low) - ndtri(high)", "ndtri(low) + ndtri(high)"),
        ],
    ),
    *of_file(
        "attacks/intervals.py",
        ["tests/attacks/test_epsilon.py"],
        [
            (
                "the lower limit of a rate is too high",
                "special.betaincinv(positive, failures + 1, tail)",
                "special.betaincinv(positive, np.maximum(failures, 1), tail)",
            ),
            (
                "the upper limit of a rate is too low",
                "betainccinv(successes + 1,",
                "betainccinv(np.maximum(successes, 1),",
            ),
        ],
    ),
    *of_file(
        "attacks/one_run.py",
        ["tests/attacks/test_one_run.py"],
        [
            (
                "the tail counts one correct guess too few",
                "bdtrc(correct - 1, made, share)",
                "bdtrc(correct - 2, made, share)",
            ),
            (
                "no guess of members takes all canaries",
                "ascending[len(scores) - guesses_in :]",
                "ascending[-guesses_in:]",
            ),
            (
                "ties are taken in the order of the canaries",
                "shuffled = generator.permutation(len(scores))",
                "shuffled = np.arange(len(scores))",
            ),
            (
                "the price of delta counts guesses instead of canaries",
                "2 * guesses.canaries * delta * largest",
                "2 * guesses.made * delta * largest",
            ),
            (
                "the price of delta counts one correct guess too many",
                "below = np.arange(correct - 1, -1, -1)",
                "below = np.arange(correct, 0, -1)",
            ),
            (
                "the recursion credits one correct guess too many",
                "right += count * added",
                "right += (count + 1) * added",
            ),
            ("a chance of exactly 1 is rejected", "if chance > 1:", "if chance >= 1:"),
        ],
    ),
    *of_file(
        "attacks/combined_runs.py",
        ["tests/attacks/test_combined_runs.py"],
        [
            (
                "Fisher's statistic has one degree of freedom for each run",
                "chdtri(2 * len(table), significance)",
                "chdtri(len(table), significance)",
            ),
            (
                "p-values are rounded down",
                "np.append(LEVELS[:-1], 1.0)[position]",
                "np.append(LEVELS[:1], LEVELS[:-1])[position]",
            ),
            (
                "the statistic is the sum of logarithms, without the factor 2",
                "-2 * np.log(p_values)",
                "-np.log(p_values)",
            ),
            (
                "one run has the canaries of one target",
                "sum(guesses.canaries for guesses in runs)",
                "max(guesses.canaries for guesses in runs)",
            ),
            (
                "the price of delta ignores the number of targets",
                "2 * targets * canaries * delta",
                "2 * canaries * delta",
            ),
            (
                "the recursion at once credits one correct guess too many",
                "right + count * added",
                "right + (count + 1) * added",
            ),
        ],
    ),
    *of_file(
        "attacks/disjoint_shadows.py",
        ["tests/attacks/test_disjoint_shadows.py"],
        [
            (
                "targets have the shadows of their own half",
                "for half, other in (halves, halves[::-1])",
                "for half, other in ((halves[0], halves[0]), (halves[1], halves[1]))",
            ),
            (
                "halves are those of the positions, which depend on the models that diverged",
                "if models[model] % 2 == half",
                "if model % 2 == half",
            ),
            (
                "one shadow is enough",
                "fewest = max(FEWEST_SHADOWS, attack.fewest_shadows)",
                "fewest = 1",
            ),
            (
                "an attack that learns from a target scores the others with it",
                "if not resolved.learns_from_shadows_only:",
                "if not views:",
            ),
        ],
    ),
    *of_file(
        "attacks/observations.py",
        ["tests/attacks/test_disjoint_shadows.py"],
        [
            (
                "drift is measured from the mean over all targets",
                'object.__setattr__(separate, "_mean_of", numbers)',
                "numbers.sort()",
            ),
        ],
    ),
    *of_file(
        "mgaudit/study/epsilon_bound.py",
        ["tests/study/test_epsilon_bound.py"],
        [
            (
                "the significance is not divided among halves and shares",
                "significance = significance / len(candidates)",
                "significance = significance / 1",
            ),
            (
                "the smallest bound is taken",
                "largest = int(np.argmax(bounds))",
                "largest = int(np.argmin(bounds))",
            ),
            (
                "the median is the upper one",
                "sorted(bounds)[(len(bounds) - 1) // 2]",
                "sorted(bounds)[len(bounds) // 2]",
            ),
        ],
    ),
]

SCHEMES = [
    *of_file(
        "targets/schemes/gaussian_mask.py",
        ["tests/targets/test_input_schemes.py"],
        [
            (
                "kappa is the variance of the mask",
                "normal_(1.0, self.kappa,",
                "normal_(1.0, self.kappa**0.5,",
            ),
            ("the mask has mean 0", "normal_(1.0, self.kappa,", "normal_(0.0, self.kappa,"),
            (
                "all examples of a batch share one mask",
                "torch.empty_like(x).normal_(1.0, self.kappa, generator=generator).mul_(x)",
                "torch.empty_like(x[:1]).normal_(1.0, self.kappa, generator=generator) * x",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/gaussian_noise.py",
        ["tests/targets/test_input_schemes.py"],
        [
            (
                "sigma is the variance of the noise",
                "normal_(0.0, self.sigma,",
                "normal_(0.0, self.sigma**0.5,",
            ),
            ("the noise multiplies the inputs", ".add_(x)", ".mul_(x)"),
        ],
    ),
    *of_file(
        "targets/schemes/dropout.py",
        ["tests/targets/test_input_schemes.py"],
        [
            ("inputs that are kept are not scaled up", ".div_(share_kept)", ""),
            ("rate is the share that is kept", "bernoulli_(share_kept,", "bernoulli_(self.rate,"),
        ],
    ),
    *of_file(
        "targets/schemes/strength.py",
        ["tests/targets/test_input_schemes.py"],
        [
            (
                "dropout of equal strength drops too much",
                "kappa**2 / (1 + kappa**2)",
                "kappa / (1 + kappa)",
            )
        ],
    ),
    *of_file(
        "targets/schemes/noise_nodes.py",
        ["tests/targets/test_noise_nodes.py"],
        [
            (
                "the node has sd 1 whatever sigma is",
                "normal_(0.0, self.sigma,",
                "normal_(0.0, 1.0,",
            ),
            (
                "all examples of a batch share one node value",
                "return values.normal_(0.0, self.sigma, generator=generator)",
                "return values[:1].normal_(0.0, self.sigma, generator=generator).repeat(len(x))",
            ),
            (
                "the node is subtracted",
                "preactivations + shift.reshape",
                "preactivations - shift.reshape",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/weight_noise.py",
        [
            "tests/targets/test_weight_noise.py",
            "tests/targets/test_training.py::test_models_draw_noise_of_their_own",
        ],
        [
            (
                "each of M groups has the sd of a single one",
                "std = self.sigma / len(names) ** 0.5",
                "std = self.sigma",
            ),
            (
                "the stop epoch still has noise",
                "epoch >= self.stop_epoch",
                "epoch > self.stop_epoch",
            ),
            (
                "the cyclic order starts with the second group",
                "return step % groups",
                "return (step + 1) % groups",
            ),
            (
                "the random order is the same for all models",
                "[generator.initial_seed(), step]",
                "[step]",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/label_noise.py",
        ["tests/targets/test_label_noise.py"],
        [
            (
                "a replaced label may stay as it was",
                "torch.randint(1, classes,",
                "torch.randint(0, classes,",
            ),
            ("rate is the share of labels that are kept", "< self.rate", "> self.rate"),
            (
                "all replaced labels move by one class",
                "(y + shifts) % classes",
                "(y + 1) % classes",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/label_smoothing.py",
        ["tests/targets/test_training.py", "tests/targets/test_scheme_contract.py"],
        [
            (
                "smoothing twice adds the two",
                "own + self.smoothing - own * self.smoothing",
                "own + self.smoothing",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/early_stop.py",
        ["tests/targets/test_training.py", "tests/targets/test_scheme_contract.py"],
        [
            (
                "early stopping shortens the schedule of the learning rate",
                "replace(training, stop_epoch=self.epochs)",
                "replace(training, epochs=self.epochs)",
            ),
            (
                "early stopping at the last epoch is refused",
                "self.epochs > training.last_epoch",
                "self.epochs >= training.last_epoch",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/weight_decay.py",
        ["tests/targets/test_training.py", "tests/targets/test_scheme_contract.py"],
        [
            (
                "the decay replaces that of the settings",
                "training.weight_decay + self.decay",
                "self.decay",
            ),
        ],
    ),
    *of_file(
        "targets/schemes/composition.py",
        ["tests/targets/test_composition.py"],
        [
            (
                "the last scheme acts first",
                "for part in self.members:\n            x = part.inputs(x, generator)",
                "for part in reversed(self.members):\n            x = part.inputs(x, generator)",
            ),
            (
                "the last member decides about weight noise",
                "noise |= part.weight_noise(",
                "noise = part.weight_noise(",
            ),
        ],
    ),
]

DESIGN = [
    *of_file(
        "targets/seeds.py",
        ["tests/targets/test_seeds.py"],
        [
            (
                "streams of all purposes are the same",
                'f"{seed}/{purpose}/{index}"',
                'f"{seed}/{index}"',
            ),
            (
                "streams of all indices are the same",
                'f"{seed}/{purpose}/{index}"',
                'f"{seed}/{purpose}"',
            ),
            (
                "names of streams run together",
                'f"{seed}/{purpose}/{index}"',
                'f"{seed}{purpose}{index}"',
            ),
        ],
    ),
    *of_file(
        "targets/membership.py",
        ["tests/targets/test_membership.py", "tests/targets/test_canaries.py"],
        [
            (
                "exactly half of the examples are members",
                ".random(examples) < 0.5",
                ".permutation(examples) < examples / 2",
            ),
            (
                "all models have the same members",
                'numpy_generator(seed, "membership", m)',
                'numpy_generator(seed, "membership", 0)',
            ),
            (
                "a larger ensemble does not extend a smaller one",
                'numpy_generator(seed, "membership", m)',
                'numpy_generator(seed, "membership", models - m)',
            ),
            (
                "only canaries are trained on",
                "np.ones((models, examples)",
                "np.zeros((models, examples)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/batches.py",
        [
            "tests/targets/test_batches.py",
            "tests/targets/test_dp_sgd.py::test_poisson_batches_take_each_example_by_its_own_coin",
        ],
        [
            (
                "examples are not shuffled",
                "torch.randperm(count, generator=generator)",
                "torch.arange(count)",
            ),
            (
                "the length of a batch depends on the other models of the stack",
                "if len(examples) > 1:",
                "if len(examples) > 100:",
            ),
            (
                "the last steps of an epoch have the larger batches",
                "(step < count % steps)",
                "(steps - 1 - step < count % steps)",
            ),
            (
                "Poisson batches leave out the sampled examples",
                "torch.rand(drawn, examples, generator=generator) < sample_rate",
                "torch.rand(drawn, examples, generator=generator) > sample_rate",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/drawn_batches.py",
        ["tests/targets/test_drawn_batches.py"],
        [
            (
                "filled-up places count",
                "(column < counts[..., None]).to(",
                "(column <= counts[..., None]).to(",
            ),
            (
                "models of a stack see the examples of others",
                "counts.T.flatten().cumsum(0).view(counts.T.shape).T - counts",
                "counts.flatten().cumsum(0).view(counts.shape) - counts",
            ),
            (
                "a single model sees the same batch at each step",
                "        start += size",
                "        start += 0",
            ),
            (
                "draws that alternate in one stream are made at once",
                'if alternates or overrides(fresh, "node_values"):',
                'if overrides(fresh, "node_values"):',
            ),
            (
                "schemes that mix examples see several batches at once",
                "if not all(part.acts_on_each_example for part in on_inputs):",
                "if not any(part.acts_on_each_example for part in fresh.parts):",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/stacked_layers.py",
        ["tests/targets/test_stacked_layers.py"],
        [
            (
                "models of a stack swap their features",
                "x.reshape(len(x), models, -1).transpose(0, 1)",
                "x.reshape(models, len(x), -1)",
            ),
            (
                "the noise of a node is that of another model",
                "shift.transpose(0, 1).flatten(1)[..., None, None]",
                "shift.flip(0).transpose(0, 1).flatten(1)[..., None, None]",
            ),
            (
                "networks that extend a built-in one are evaluated as it",
                "if type(network) not in CHAINS or type(layers)",
                "if not isinstance(network, CHAINS) or type(layers)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/study/kept_measurements.py",
        ["tests/study/test_kept_measurements.py"],
        [
            (
                "measurements of another seed are used",
                '"halves", "seed")',
                '"halves")',
            ),
            (
                "measurements on other outputs are used",
                '"arrays": arrays_sha256(arrays)',
                '"arrays": ""',
            ),
            (
                "scores that are independent are lost",
                "if independent is not None and not independent.size:",
                "if independent is not None:",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/examples.py",
        [
            "tests/targets/test_training.py",
            "tests/targets/test_noise_nodes.py",
            "tests/targets/test_weight_noise.py",
            "tests/targets/test_stacks.py::test_a_model_is_the_same_in_every_stack",
            "tests/targets/test_scheme_contract.py",
        ],
        [
            (
                "fixed noise is drawn from the stream of fresh noise",
                "once.inputs(self.inputs[own], stream.fixed_inputs)",
                "once.inputs(self.inputs[own], stream.inputs)",
            ),
            (
                "fixed noise is drawn anew as well",
                "part for part in scheme.parts if not part.fixed",
                "part for part in scheme.parts",
            ),
            ("weight noise has the stream of the nodes", '"weight noise",', '"node noise",'),
            (
                "all models are trained on the noisy examples of the first",
                "torch.arange(start, start + len(own),",
                "torch.arange(0, len(own),",
            ),
        ],
    ),
    *of_file(
        "targets/querying/queries.py",
        ["tests/targets/test_queries.py"],
        [
            (
                "images are mirrored upside down",
                "inputs.flip(-1) if query == 1",
                "inputs.flip(-2) if query == 1",
            ),
            (
                "crops never shift by the most to the right",
                "torch.randint(-most, most + 1, (2,)",
                "torch.randint(-most, most, (2,)",
            ),
            ("what a shift uncovers shows the image", "torch.zeros_like(inputs)", "inputs.clone()"),
            ("the first crop is shifted", "if query == 0:", "if query < 0:"),
        ],
    ),
]

TRAINING = [
    *of_file(
        "targets/training.py",
        ["tests/targets/test_training.py"],
        [
            (
                "the last batch is left out",
                "math.ceil(members / self.batch_size)",
                "int(members // self.batch_size)",
            )
        ],
    ),
    *of_file(
        "targets/fitting/loop.py",
        ["tests/targets/test_training.py", "tests/targets/test_weight_noise.py"],
        [
            (
                "the learning rate falls to 0 by the early stop",
                "build_schedule(training, optimizer, training.epochs * steps)",
                "build_schedule(training, optimizer, training.last_epoch * steps)",
            ),
            (
                "the learning rate changes once an epoch",
                "schedule.step()",
                "step == 0 and schedule.step()",
            ),
            (
                "the turns of weight noise start afresh each epoch",
                "stack.of_model(model), done, epoch, stream.weights",
                "stack.of_model(model), step, epoch, stream.weights",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/loop.py",
        ["tests/targets/test_stacks.py::test_a_model_is_the_same_in_every_stack"],
        [
            (
                "the loss of a model is divided by the models of its stack",
                "torch.autograd.backward(losses.sum())",
                "torch.autograd.backward(losses.mean())",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/optimisation.py",
        ["tests/targets/test_training.py"],
        [("momentum is ignored", "momentum=training.momentum,", "momentum=0.0,")],
    ),
    *of_file(
        "targets/fitting/optimisation.py",
        ["tests/targets/test_stacks.py::test_a_model_is_the_same_in_every_stack"],
        [
            (
                "the mean loss counts filled-up places",
                "counted.sum(dim=1).clamp(min=1)",
                "counted.shape[1]",
            )
        ],
    ),
    *of_file(
        "targets/fitting/optimisation.py",
        [
            "tests/targets/test_federated.py",
            "tests/targets/test_trajectory.py",
            "tests/theory/test_expected_loss.py",
        ],
        [("the squared loss lacks its half", ".square().sum(dim=-1) / 2", ".square().sum(dim=-1)")],
    ),
    *of_file(
        "targets/fitting/federated.py",
        ["tests/targets/test_federated.py"],
        [
            (
                "momenta are not averaged",
                "(weight,) if momentum is None else (weight, momentum)",
                "(weight,)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/augmentation.py",
        ["tests/targets/test_augmentation.py"],
        [("training images are mirrored upside down", "x.flip(-1)", "x.flip(-2)")],
    ),
]

DP_SGD = [
    *of_file(
        "targets/fitting/noisy_sums.py",
        ["tests/targets/test_noisy_sums.py"],
        [
            (
                "the noise is scaled by the clipping norm twice",
                "plan.noise_multiplier * plan.max_grad_norm",
                "plan.noise_multiplier * plan.max_grad_norm**2",
            ),
            (
                "the sums of a step are added to those of the step before",
                "                weight.grad = None",
                "                pass",
            ),
            (
                "gradient sums are divided by the square of the size of a batch",
                "self._divisor = plan.batch_size",
                "self._divisor = plan.batch_size**2",
            ),
            (
                "all models of a stack have the noise of the first generator",
                "self._make_noisy_mean(gradients, generator)",
                "self._make_noisy_mean(gradients, self._generators[0])",
            ),
            (
                "a part of the noise ends within its last group of 16",
                "range(0, numbers - GROUP + 1, NUMBERS_AT_ONCE)",
                "range(0, numbers, NUMBERS_AT_ONCE)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/joined_layers.py",
        ["tests/targets/test_private_stacks.py"],
        [
            (
                "all models of a stack have the biases of the first",
                "aligned(x[own]), layer.weight, layer.bias",
                "aligned(x[own]), layer.weight, layers[0].bias",
            ),
            (
                "gradients pass through the weights of the first model",
                "torch.mm(aligned(gradient[own]), layer.weight)",
                "torch.mm(aligned(gradient[own]), ctx.layers[0].weight)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/clipping.py",
        ["tests/targets/test_private_stacks.py"],
        [
            (
                "the sum of a model has the clipping factors of the first models' examples",
                "of_model = aligned(factors[own])",
                "of_model = factors[: own.stop - own.start]",
            ),
            (
                "the sum of a model has the examples of all",
                "of_examples.part(own).weighted_sum(of_model)",
                "of_examples.weighted_sum(factors)",
            ),
            (
                "norms are summed over examples",
                "aligned(squares[:, own].contiguous()).sum(dim=0)",
                "aligned(squares[:, own].contiguous()).sum(dim=1)",
            ),
            (
                "rows of a stack are counted as examples",
                "slice(rows.start // views, rows.stop // views)",
                "slice(rows.start, rows.stop)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/dp_sgd.py",
        ["tests/targets/test_private_stacks.py"],
        [
            (
                "models of a stack have the coins of the first",
                "plan.sample_rate, plan.steps, stream.batches)",
                "plan.sample_rate, plan.steps, streams[0].batches)",
            ),
            (
                "the sampling rate is shared by the models of a stack",
                "plan.sample_rate, plan.steps, stream.batches)",
                "plan.sample_rate / len(streams), plan.steps, stream.batches)",
            ),
            (
                "a stack sees only the first part of each batch",
                "range(max(map(len, parts)))",
                "range(min(1, max(map(len, parts))))",
            ),
            (
                "models of a stack see the examples of the first",
                "own = examples.rows[model]",
                "own = examples.rows[0]",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/stack_size.py",
        ["tests/targets/test_private_stacks.py"],
        [
            (
                "layers of any kind are stacked with DP-SGD",
                "        if not known:",
                "        if False:",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/dp_sgd.py",
        ["tests/targets/test_dp_sgd.py"],
        [
            (
                "gradients are clipped to 1 whatever the settings say",
                "self.clipper.backward(losses, plan.max_grad_norm, plan.views)",
                "self.clipper.backward(losses, 1.0, plan.views)",
            ),
            (
                "weights keep their noise after the gradient",
                "weights[name].copy_(value)",
                "weights[name].copy_(weights[name])",
            ),
            (
                "the rate of DP-SGD falls to 0 by the early stop",
                "return round(training.epochs / plan.sample_rate)",
                "return plan.steps",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/clipping.py",
        ["tests/targets/test_clipping.py"],
        [
            (
                "each view is clipped by itself",
                "examples = len(losses) // views",
                "examples = len(losses)",
            ),
            (
                "an example counts as often as it has views",
                "losses.sum() / views",
                "losses.sum()",
            ),
            (
                "small gradients are stretched to the limit",
                "(norms + SMALLEST_NORM)).clamp(max=1.0)",
                "(norms + SMALLEST_NORM))",
            ),
            (
                "a part of a batch replaces the parts before it",
                "        weight.grad += total",
                "        weight.grad = total",
            ),
            (
                "a network that evaluates a layer twice has a rule",
                "return None if unknown else sum(floats.values())",
                "return sum(floats.values())",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/per_example.py",
        ["tests/targets/test_clipping.py"],
        [
            (
                "the norm leaves out pairs of different positions",
                "return of_pairs.sum(dim=(1, 2)).clamp(min=0)",
                "return of_pairs.diagonal(dim1=1, dim2=2).sum(dim=1)",
            ),
            (
                "rows and columns of the stride are exchanged",
                "(image, row * down, column * right,",
                "(image, row * right, column * down,",
            ),
            (
                "a GroupNorm's scale has the gradient of its shift",
                "scale = (normalised * at_outputs).reshape(by_channel)",
                "scale = at_outputs.reshape(by_channel)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/privacy_plan.py",
        ["tests/targets/test_dp_sgd.py"],
        [
            (
                "the plan counts epochs behind the early stop",
                "round(training.last_epoch /",
                "round(training.epochs /",
            ),
            ("delta is 1/n", "n**-1.1", "n**-1.0"),
            ("a delta of exactly 1/n is allowed", "if delta >= 1 / n:", "if delta > 1 / n:"),
            (
                "the noise multiplier is sought for another delta",
                "noise_for_epsilon(scheme.epsilon, sample_rate, steps, delta)",
                "noise_for_epsilon(scheme.epsilon, sample_rate, steps, delta / 2)",
            ),
            (
                "the accountant takes the sample rate for the noise",
                "return privacy_bounds(noise_multiplier, sample_rate, steps, delta)",
                "return privacy_bounds(sample_rate, noise_multiplier, steps, delta)",
            ),
            (
                "the accountant counts one step too few",
                "bounds = privacy_bounds(noise_multiplier, sample_rate, steps, delta)",
                "bounds = privacy_bounds(noise_multiplier, sample_rate, steps - 1, delta)",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/accountants.py",
        ["tests/targets/test_accountants.py"],
        [
            (
                "the claim is the largest bound",
                "return min(self.by_accountant,",
                "return max(self.by_accountant,",
            ),
            ("the noise spends too much", "aim = epsilon - tolerance", "aim = epsilon + tolerance"),
            (
                "the steps that remain after two stages are not counted",
                "if rest else composed",
                "if not rest else composed",
            ),
            (
                "the rounding error makes delta larger",
                "return delta - error if",
                "return delta + error if",
            ),
            (
                "the grid of a step is too coarse",
                "steps), deviation / 8)",
                "steps), deviation * 8)",
            ),
            (
                "the Gaussian mechanism of all steps has the noise of one",
                "    noise_multiplier = mechanism.noise_multiplier / math.sqrt(mechanism.steps)\n"
                "    with",
                "    noise_multiplier = mechanism.noise_multiplier\n    with",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/trade_off.py",
        ["tests/targets/test_trade_off.py"],
        [
            (
                "the trade-off curve lacks its flat half",
                "largest: Floats = np.maximum(steep, flat).max(axis=1)",
                "largest: Floats = steep.max(axis=1)",
            ),
            (
                "the trade-off curve has no delta",
                "remaining = 1 - self.deltas",
                "remaining = 1 - 0 * self.deltas",
            ),
            (
                "the ceiling of the AUC is by a rule that makes it too low",
                "middles = (EDGES[1:] + EDGES[:-1]) / 2",
                "middles = EDGES[:-1]",
            ),
            (
                "the Gaussian mechanism has the noise of one step",
                "mu = math.sqrt(mechanism.steps) / mechanism.noise_multiplier",
                "mu = 1 / mechanism.noise_multiplier",
            ),
        ],
    ),
    *of_file(
        "targets/fitting/last_iterate.py",
        ["tests/targets/test_last_iterate.py"],
        [
            (
                "the last weights have the noise of one step",
                "self.deviation = mechanism.noise_multiplier * math.sqrt(steps)",
                "self.deviation = mechanism.noise_multiplier",
            ),
            (
                "the likelihood ratio has the wrong sign",
                "(self.counts * threshold - self.counts**2 / 2)",
                "(self.counts * threshold + self.counts**2 / 2)",
            ),
        ],
    ),
]

CANARIES = [
    *of_file(
        "attacks/pooled.py",
        ["tests/attacks/test_pooled.py"],
        [
            (
                "the level counts members",
                "non_members = int((~membership).sum())\n    for",
                "non_members = int(membership.sum())\n    for",
            ),
            (
                "the jackknife over targets lacks its factor",
                "float(of_others.var() * (len(of_others) - 1))",
                "float(of_others.var())",
            ),
            (
                "joint resamples are drawn apart",
                "joint = np.tile(counts[:RESAMPLES], targets)",
                "joint = np.repeat(counts[:RESAMPLES], targets, axis=1)",
            ),
        ],
    ),
    *of_file(
        "targets/datasets/pool_canaries.py",
        ["tests/targets/test_pool_canaries.py"],
        [
            (
                "noise canaries of bytes never have the largest value",
                "above = high.astype(np.int64) + 1",
                "above = high.astype(np.int64)",
            ),
            (
                "blank canaries light constant features",
                "np.broadcast_to(low < high, (1, *shape))",
                "np.broadcast_to(low <= high, (1, *shape))",
            ),
        ],
    ),
    *of_file(
        "mgaudit/study/design.py",
        ["tests/study/test_study_canaries.py"],
        [
            (
                "canaries change the standardisation",
                "raw.standardised(natural.inputs)",
                "raw.standardised()",
            ),
        ],
    ),
]

VERDICT = [
    *of_file(
        "mgaudit/analysis/pairs.py",
        ["tests/analysis/test_analysis.py"],
        [
            (
                "the difference of a pair has the wrong sign",
                "(1.0, _quantity(one, metric, attack))",
                "(-1.0, _quantity(one, metric, attack))",
            ),
            (
                "the plain arm is among the pairs",
                "if index != plain]",
                "if index != -1]",
            ),
        ],
    ),
    *of_file(
        "mgaudit/analysis/verdict_metrics.py",
        ["tests/analysis/test_verdicts.py"],
        [
            (
                "tied scores count as above a threshold among them",
                "(others > others[most]).sum()",
                "(others >= others[most]).sum()",
            ),
        ],
    ),
    *of_file(
        "mgaudit/conditions.py",
        ["tests/test_conditions.py"],
        [
            (
                "a condition that must hold fails where it is proved",
                "self.condition.is_met(self.estimate) != self.condition.must_hold",
                "self.condition.is_met(self.estimate)",
            ),
            (
                "what cannot be checked passes",
                "if self.estimate is None:\n            return True",
                "if self.estimate is None:\n            return False",
            ),
        ],
    ),
    *of_file(
        "mgaudit/analysis/verdict_rules.py",
        ["tests/analysis/test_verdict_rules.py"],
        [
            (
                "there is nothing to protect if one of two arms is near chance",
                "if max(contrasts.own.high, contrasts.plain.high)",
                "if min(contrasts.own.high, contrasts.plain.high)",
            ),
            (
                "a difference of the margin does not expose more",
                "if contrasts.above_upper.low >= 0:",
                "if contrasts.above_upper.low > 0:",
            ),
            (
                "an interval above minus the margin protects",
                "if contrasts.above_lower.high <= 0:",
                "if contrasts.above_upper.high <= 0:",
            ),
            (
                "an excess that is not significant is a leak",
                "if excess.low > 0:",
                "if excess.value > 0:",
            ),
            (
                "opposite outcomes are mixed the wrong way round",
                "return LOWER_AVERAGE if of_auc < 0 else HIGHER_AVERAGE",
                "return LOWER_AVERAGE if of_auc > 0 else HIGHER_AVERAGE",
            ),
        ],
    ),
    *of_file(
        "mgaudit/analysis/verdicts.py",
        ["tests/analysis/test_verdicts.py"],
        [
            (
                "the level is not corrected for the limits",
                "return 1 - 2 * ERROR / limits",
                "return 1 - ERROR",
            ),
            (
                "the margins of a TPR are swapped",
                "(1 - metric.margin, 1 + metric.margin)",
                "(1 + metric.margin, 1 - metric.margin)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/analysis/deciding.py",
        ["tests/analysis/test_deciding.py"],
        [
            (
                "the examples' part shrinks with the models",
                "normal * math.sqrt(parts.of_examples))",
                "normal * math.sqrt(parts.of_examples / models))",
            ),
        ],
    ),
]

WHITE_BOX = [
    *of_file(
        "attacks/white_box.py",
        ["tests/attacks/test_white_box.py"],
        [
            (
                "the limit of the noise is twice too small",
                "1 / (2 * float(special.ndtri(least_share)))",
                "1 / (4 * float(special.ndtri(least_share)))",
            ),
            (
                "the residuals give the estimate in place of its upper limit",
                "special.gammaincinv(len(coins) / 2, significance)",
                "special.gammaincinv(len(coins) / 2, 0.5)",
            ),
        ],
    ),
    *of_file(
        "attacks/white_box_checks.py",
        ["tests/attacks/test_white_box.py"],
        [
            (
                "less of a contribution raises the alarm",
                "float(special.stdtr(degrees, -t)), difference, 1.0)",
                "float(special.stdtr(degrees, t)), difference, 1.0)",
            ),
            (
                "too much noise raises the alarm",
                "special.chdtr(count, squares / noise_multiplier**2)",
                "special.chdtrc(count, squares / noise_multiplier**2)",
            ),
            (
                "only the sum over all tensors is tested",
                "squares = np.append(totals, totals.sum())",
                "squares = np.append(np.full(len(totals), np.inf), totals.sum())",
            ),
            (
                "all checks have the whole significance",
                "significance * SHARES.get(check.name, equal)",
                "significance",
            ),
            (
                "a check without chance has a share of the significance",
                "check.name not in SHARES and not check.deterministic",
                "check.name not in SHARES",
            ),
            (
                "a small contribution in a batch raises the alarm",
                "0.0 if largest > 1 + ROUNDING else 1.0",
                "0.0 if largest < 1 - ROUNDING else 1.0",
            ),
        ],
    ),
    *of_file(
        "targets/white_box/leave_one_out.py",
        ["tests/targets/test_leave_one_out.py"],
        [
            (
                "one view of an example is left out",
                "others = owners != example",
                "others = torch.arange(len(self.x), device=self.x.device) != example",
            ),
            (
                "the contribution is not in units of the clip norm",
                "float(torch.stack(norms).max()) / max_norm",
                "float(torch.stack(norms).max())",
            ),
            (
                "the mean contribution in place of the largest",
                "torch.stack(norms).max()",
                "torch.stack(norms).mean()",
            ),
            (
                "the gradients of the batch are lost",
                "weight.grad = gradient",
                "pass",
            ),
        ],
    ),
    *of_file(
        "targets/white_box/directions.py",
        ["tests/targets/test_white_box.py"],
        [
            (
                "directions have another norm",
                "/ np.sqrt(np.bincount(owners, minlength=number)[owners])",
                "/ np.bincount(owners, minlength=number)[owners]",
            ),
            (
                "canaries are added to the noise in place of taken out",
                "vectors[:, self._places] = own - taken",
                "vectors[:, self._places] = own + taken",
            ),
        ],
    ),
    *of_file(
        "targets/white_box/recorder.py",
        ["tests/targets/test_white_box.py", "tests/study/test_white_box.py"],
        [
            (
                "noise is not in units of the clip norm",
                "row *= scale / self.max_grad_norm",
                "row *= scale",
            ),
            (
                "the clipped sum counts as noise",
                "row.sub_(self._reference, alpha=1 / self.max_grad_norm)",
                "row.sub_(self._reference, alpha=0)",
            ),
        ],
    ),
    *of_file(
        "targets/white_box/opacus_loop.py",
        ["tests/study/test_white_box.py", "tests/targets/test_white_box_faults.py"],
        [
            (
                "canaries stay in the gradient",
                "self.recorder.add_clipped(gradients, share=-1 / scale)",
                "self.recorder.add_clipped(gradients, share=0.0)",
            ),
            (
                "the sampler keeps its class",
                "self._sampler.__class__ = self._class",
                "pass",
            ),
        ],
    ),
]

BIASED_DESCENT = [
    *of_file(
        "mgaudit/theory/biased_descent.py",
        ["tests/theory/test_biased_descent.py"],
        [
            (
                "the radius lacks its half",
                "np.asarray((bias + eta * m * noise) / 2)",
                "np.asarray(bias + eta * m * noise)",
            ),
            (
                "the noise in the bound is not multiplied by the learning rate",
                "(bias + eta * m * noise) / 2",
                "(bias + m * noise) / 2",
            ),
            (
                "the exact mean moves along the bias, not against it",
                "mean = left * (w + rest) - rest",
                "mean = left * (w - rest) + rest",
            ),
            (
                "the exact variance decays like the mean",
                "self._noise_at_rest(eta) * (1 - left * left)",
                "self._noise_at_rest(eta) * (1 - left)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/gaussian_masking/gradient_statistics.py",
        ["tests/papers/test_descent.py"],
        [
            (
                "the bias has the wrong sign",
                "expected_loss_gradient(theory, inputs, values, kappa) - clean",
                "clean - expected_loss_gradient(theory, inputs, values, kappa)",
            ),
            (
                "the PL constant lacks its half",
                "self.squared_gradient / (2 * self.loss)",
                "self.squared_gradient / self.loss",
            ),
            (
                "the squared bias from draws contains noise",
                "squared_mean - noise / draws",
                "squared_mean",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/gaussian_masking/perturbations.py",
        ["tests/papers/test_descent.py"],
        [
            (
                "correlated masks do not keep their variance",
                "np.sqrt(1 - self.memory**2)",
                "(1 - self.memory)",
            ),
            ("dropout keeps too few entries", "1 / (1 + self.kappa**2)", "1 / (1 + self.kappa)"),
        ],
    ),
]

WEIGHT_NOISE = [
    *of_file(
        "mgaudit/papers/weight_noise/theorem1.py",
        ["tests/papers/test_weight_noise_theorems.py"],
        [
            (
                "the second order of squares is that of a linear function",
                "plain + 2 * sigma**2 * float(",
                "plain + sigma**2 * float(",
            ),
            (
                "the noise on a weight is that of the scheme",
                "scheme_sigma = sigma * math.sqrt(len(own))",
                "scheme_sigma = sigma",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/weight_noise/theorem2.py",
        ["tests/papers/test_weight_noise_theorems.py"],
        [
            (
                "noise lowers the mean of a square",
                "solver.fit(scaled, y - shift)",
                "solver.fit(scaled, y + shift)",
            ),
            (
                "the effective loss counts the loss without noise three times",
                "(1.0, 1.0, 1.0, -2.0)",
                "(1.0, 1.0, 1.0, 0.0)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/weight_noise/piecewise.py",
        ["tests/papers/test_weight_noise_theorems.py"],
        [
            (
                "the margin is that of the largest preactivation",
                "np.linalg.norm(x, axis=1, keepdims=True)).min())",
                "np.linalg.norm(x, axis=1, keepdims=True)).max())",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/weight_noise/noisy_training.py",
        ["tests/papers/test_weight_noise_figures.py"],
        [
            (
                "a half of the test examples selects its own sigma",
                "zip(sigmas, reversed(HALVES), strict=True)",
                "zip(sigmas, HALVES, strict=True)",
            ),
            (
                "the noise never ends",
                "layerwise=layerwise, stop_epoch=self.quiet_epoch)",
                "layerwise=layerwise)",
            ),
            (
                "the cross-entropy is that of the first class",
                "logits[np.arange(len(labels)), labels]",
                "logits[np.arange(len(labels)), 0]",
            ),
        ],
    ),
    *of_file(
        "mgaudit/papers/weight_noise/curves.py",
        ["tests/papers/test_weight_noise_figures.py"],
        [
            (
                "a lower trace is counted as a higher one",
                "(border, math.inf) if higher else (-math.inf, border)",
                "(-math.inf, border) if higher else (border, math.inf)",
            ),
        ],
    ),
]

NOISE_NODE_THEORY = [
    *of_file(
        "mgaudit/theory/noise_products.py",
        ["tests/theory/test_noise_products.py"],
        [
            (
                "a noise product's variance lacks the variance of the quantity",
                "variance = ((square + mu**2) * second_moment",
                "variance = (mu**2 * second_moment",
            ),
            (
                "a noise product's variance adds the squared mean",
                "- (mu * moment) ** 2) / size",
                "+ (mu * moment) ** 2) / size",
            ),
            (
                "a noise product of a whole population has the variance of independent examples",
                "variance -= (1 - 1 / size)",
                "variance -= 0 * (1 - 1 / size)",
            ),
            (
                "the moment of uniform noise is that of the next order",
                "3.0 ** (power // 2) / (power + 1)",
                "3.0 ** (power // 2) / (power + 2)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/theory/several_nodes.py",
        ["tests/theory/test_several_nodes.py"],
        [
            (
                "the curvature of several nodes has the smallest eigenvalue",
                "eigvalsh(gram)[..., -1]",
                "eigvalsh(gram)[..., 0]",
            ),
            (
                "the outer weights of several nodes climb",
                "w2 = w2 - moving * change",
                "w2 = w2 + moving * change",
            ),
            (
                "the batches of several nodes have one degree of freedom each",
                "degrees = batch - np.arange(inputs)",
                "degrees = np.ones(inputs)",
            ),
        ],
    ),
    *of_file(
        "mgaudit/theory/local_curvature.py",
        ["tests/theory/test_local_curvature.py"],
        [
            (
                "the trace from steps of nodes has the wrong sign",
                "np.asarray(-products / (scale * square))",
                "np.asarray(products / (scale * square))",
            ),
            (
                "the trace from steps of nodes is that of one neuron",
                "square = np.mean(start**2, axis=-1)",
                "square = np.sum(start**2, axis=-1)",
            ),
            (
                "the trace in the weights of a layer lacks the biases",
                "np.mean((_squares(inputs) + 1) * traces)",
                "np.mean(_squares(inputs) * traces)",
            ),
            (
                "the curvature of cross-entropy lacks the outer product",
                "probabilities[:, :, None] * np.eye(classes) - outer",
                "probabilities[:, :, None] * np.eye(classes)",
            ),
        ],
    ),
    *of_file(
        "targets/querying/local_derivatives.py",
        ["tests/targets/test_local_derivatives.py"],
        [
            (
                "a shift of preactivations is subtracted",
                "output + shift",
                "output - shift",
            ),
        ],
    ),
]

MUTANTS = (
    *ATTACKS,
    *RANKS,
    *METRICS,
    *INTERVALS,
    *EPSILON_BOUNDS,
    *SCHEMES,
    *DESIGN,
    *TRAINING,
    *DP_SGD,
    *WHITE_BOX,
    *CANARIES,
    *VERDICT,
    *BIASED_DESCENT,
    *WEIGHT_NOISE,
    *NOISE_NODE_THEORY,
)
