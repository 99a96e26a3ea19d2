"""The ceilings that a DP-SGD claim puts on attacks, as a result holds them."""

from mgaudit.reports.record import Record


class Ceiling(Record):
    """What no attack on an arm with DP-SGD exceeds, if its claim holds; fractions.

    The adversary sees the noisy sum of gradients of every step. `tpr` is the largest true positive
    rate at each false positive rate of `fpr`, the grid of the ROC curves. `metrics` has the largest
    value of AUC, advantage, balanced accuracy and TPRs by metric name. All are rounded up.
    `accountant` computed them: PLD, or GDP where there is no PLD.
    """

    accountant: str
    fpr: list[float]
    tpr: list[float]
    metrics: dict[str, float]
