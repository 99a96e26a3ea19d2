"""A white-box audit of a training loop with Opacus, in Python."""

import time
from typing import TYPE_CHECKING, Any

from mgaudit.argument_names import checked_class
from mgaudit.errors import UsageError
from mgaudit.settings import arguments
from mgaudit.settings.number_check import checked_number
from mgaudit.targets.ranges import Range

OPEN = Range(0, 1, low_open=True, high_open=True)

if TYPE_CHECKING:
    from types import TracebackType

    from mgaudit.dp_result import DPResult


@checked_class
class WhiteBoxAuditor:
    """Audits DP-SGD while your own training loop with Opacus runs.

        >>> with mgaudit.WhiteBoxAuditor(optimizer, data_loader) as auditor:  # doctest: +SKIP
        ...     train(model, optimizer, data_loader)
        >>> auditor.result()  # doctest: +SKIP

    In every step, examples whose gradients point into known directions are added to the batch by
    the toss of coins, and what the step releases is compared with what the claim says: noise,
    clipping, independence of the noise over steps, and Poisson sampling. The canaries are taken out
    of the noisy sum before the weights move.

    Args:
        optimizer: The optimizer that `PrivacyEngine.make_private` returns, with flat clipping.
        data_loader: The data loader that it returns.
        delta: δ of the claim (default: 1/n^1.1 for n examples).
        directions: Number of canaries' directions (default: 64, or the size of the largest weight
            tensor if that is less); more see smaller errors.
        noise_multiplier, max_grad_norm, sample_rate: What is claimed (default: what the optimizer
            and the data loader say). State them if you do not trust these.
        seed: Random seed of directions and coins.
        significance: Probability that a bound is wrong, and that a correct implementation raises an
            alarm.

    Raises:
        UsageError: For an optimizer or a data loader that is not of this kind, and for an argument
            out of range.
    """

    def __init__(
        self,
        optimizer: Any,
        data_loader: Any,
        *,
        delta: float | None = None,
        directions: int | None = None,
        noise_multiplier: float | None = None,
        max_grad_norm: float | None = None,
        sample_rate: float | None = None,
        seed: int = 0,
        significance: float = 0.05,
    ) -> None:
        from mgaudit.study.white_box import Claim
        from mgaudit.targets.fitting.privacy_plan import default_delta
        from mgaudit.targets.white_box.opacus_loop import OpacusLoop, check_optimizer

        check_optimizer(optimizer)
        examples, rate = _sampling(data_loader, sample_rate)
        self._claim = Claim(
            noise_multiplier=_positive(
                "noise_multiplier", noise_multiplier, optimizer.noise_multiplier
            ),
            max_grad_norm=_positive("max_grad_norm", max_grad_norm, optimizer.max_grad_norm),
            sample_rate=rate,
            delta=default_delta(examples)
            if delta is None
            else _number("delta", delta, False, OPEN),
            examples=examples,
        )
        limits = arguments.SIGNIFICANCE.limits
        self._significance = _number("significance", significance, False, limits)
        norm, seed = self._claim.max_grad_norm, int(_number("seed", seed, True, Range(0)))
        if directions is not None:
            directions = int(_number("directions", directions, True, Range(1)))
        self._loop = OpacusLoop(optimizer, data_loader, directions, norm, seed)
        self._settings = {"seed": seed, "significance": self._significance}
        self._started, self._seconds = "", 0.0

    def __enter__(self) -> "WhiteBoxAuditor":
        from mgaudit.study.white_box import now

        self._started, self._seconds = now(), -time.perf_counter()
        self._loop.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self._seconds += time.perf_counter()
        self._loop.__exit__()

    def result(self) -> "DPResult":
        """Returns the result of the steps since the auditor was entered.

        Raises:
            UsageError: If there were too few steps for any statement, and if noise multiplier or
                clip norm changed while the loop ran.
        """
        from mgaudit.dp_result import DPResult
        from mgaudit.study.white_box import white_box_result

        if self._loop.recorder.steps == 0:
            way_out = "call optimizer.step() within the with statement"
            raise UsageError("steps", "must be at least 1", "0", way_out)
        if self._loop.changed:
            rule = f"must keep its noise and clip norm during an audit: {self._loop.changed}"
            raise UsageError(
                "optimizer", rule, None, "audit the steps with each setting separately"
            )
        about = {
            "settings": self._settings,
            "label": "the training loop",
            "accuracy": None,
            "started": self._started,
            "seconds": self._seconds,
            "device": str(self._loop.device),
        }
        record, arrays = white_box_result(
            self._loop.arrays(),
            self._claim,
            self._significance,
            self._loop.audits_clipping,
            about,
        )
        return DPResult(record, arrays, None)


def _sampling(data_loader: Any, sample_rate: float | None) -> tuple[int, float]:
    """Returns the number of examples, and the rate at which they are sampled."""
    try:
        examples = len(data_loader.dataset)
        batches = len(data_loader)
    except (AttributeError, TypeError) as error:
        rule = "must be a DataLoader of a dataset with a length"
        got = f"{type(data_loader).__name__}: {error}"
        raise UsageError("data_loader", rule, got) from error
    if sample_rate is None:
        sample_rate = getattr(data_loader, "sample_rate", None)
    if sample_rate is None:  # as make_private without Poisson sampling
        sample_rate = 1 / batches
    limits = Range(0, 1, low_open=True)
    return examples, float(_number("sample_rate", sample_rate, False, limits))


def _positive(name: str, given: float | None, own: float) -> float:
    """Returns the value given, or the optimizer's own one."""
    return float(_number(name, own if given is None else given, False, Range(0, low_open=True)))


def _number(name: str, value: object, is_whole: bool, limits: Range | None) -> int | float:
    """Returns a number. Raises UsageError with its name for another type and outside the limits."""
    try:
        return checked_number(value, is_whole, limits)
    except UsageError as error:
        raise error.inside(name) from error
