"""The names of metrics in results, the same in `result.json`, CSV and `to_frame()`."""

TPR = "tpr@"  # followed by the false positive rate, a fraction


def is_tpr(name: str) -> bool:
    """Returns whether this is the name of a TPR at a fixed FPR."""
    return name.startswith(TPR)


def tpr_name(level: float) -> str:
    """Returns the name of the TPR at this FPR.

    >>> tpr_name(0.001)
    'tpr@0.001'
    """
    return f"{TPR}{level:g}"


def fpr_of(name: str) -> float:
    """Returns the FPR of a metric for which `is_tpr` is true.

    >>> fpr_of("tpr@0.001")
    0.001
    """
    return float(name.removeprefix(TPR))
