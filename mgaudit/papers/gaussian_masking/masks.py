"""The Gaussian mask as a scheme of training."""


def mask(kappa: float, fixed: bool = False) -> str:
    """Returns the scheme of a Gaussian mask as it is written in settings; "none" for kappa = 0.

    `kappa` >= 0 is the standard deviation of the mask. A mask is drawn at each use of an example,
    or once for each example if `fixed`.

    >>> mask(0.3), mask(0.0), mask(1.0, fixed=True)
    ('gaussian-mask:kappa=0.3', 'none', 'gaussian-mask:kappa=1,fixed=true')
    """
    if not kappa:
        return "none"
    options = ",fixed=true" if fixed else ""
    return f"gaussian-mask:kappa={kappa:.15g}{options}"
