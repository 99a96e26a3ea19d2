"""A white-box audit of a training loop with Opacus, in Python."""

import time
from typing import TYPE_CHECKING, Any

from mgaudit.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from mgaudit.dp_result import DPResult

DIRECTIONS = 64


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
        directions: Number of canaries' directions; more see smaller errors.
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
        directions: int = DIRECTIONS,
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
            delta=default_delta(examples) if delta is None else _share("delta", delta),
            examples=examples,
        )
        self._significance = _share("significance", significance, most=0.5)
        norm = self._claim.max_grad_norm
        self._loop = OpacusLoop(optimizer, data_loader, directions, norm, seed)
        self._settings = {"directions": directions, "seed": seed, "significance": significance}
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
            UsageError: If there were too few steps for any statement.
        """
        from mgaudit.dp_result import DPResult
        from mgaudit.study.white_box import white_box_result

        if self._loop.recorder.steps == 0:
            way_out = "call optimizer.step() within the with statement"
            raise UsageError("steps", "must be at least 1", "0", way_out)
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
    except (AttributeError, TypeError) as error:
        rule = "must be a DataLoader whose dataset has a length"
        raise UsageError("data_loader", rule, type(data_loader).__name__) from error
    if sample_rate is None:
        sample_rate = getattr(data_loader, "sample_rate", None)
    if sample_rate is None:  # as make_private without Poisson sampling
        sample_rate = 1 / len(data_loader)
    return examples, _share("sample_rate", sample_rate, most_included=True)


def _positive(name: str, given: float | None, own: float) -> float:
    """Returns the value given, or the optimizer's own one."""
    value = float(own if given is None else given)
    if not 0 < value < float("inf"):
        raise UsageError(name, "must be a finite number > 0", str(value))
    return value


def _share(name: str, value: float, most: float = 1.0, most_included: bool = False) -> float:
    """Returns the value, which must be above 0 and below `most`, or at most that."""
    value = float(value)
    if not (0 < value < most or (most_included and value == most)):
        raise UsageError(
            name, f"must be > 0 and {'<=' if most_included else '<'} {most:g}", str(value)
        )
    return value
