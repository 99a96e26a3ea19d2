"""Train one share of the models of studies, for machines that share a cache but no scheduler.

An arm is one noise scheme of a study. A stack is a group of models that are trained as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.compute.parallel import default_jobs, pool_of
from mgaudit.compute.pool import Future
from mgaudit.errors import UsageError
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.progress import Progress
from mgaudit.study.train import ArmTraining
from mgaudit.study.worker import FinishedModel

KEY = "shard"
MOST_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """Share `number` of `count` shares, from 1."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> "Shard":
        """Returns the share of a text such as "1/3". Raises UsageError for any other text."""
        number, slash, count = text.partition("/")
        if slash and text.isascii() and number.isdecimal() and count.isdecimal():
            shard = cls(int(number), int(count))
            if 1 <= shard.number <= shard.count <= MOST_SHARDS:
                return shard
        rule = f"must be I/N with 1 <= I <= N <= {MOST_SHARDS}"
        raise UsageError(KEY, rule, repr(text), "write it as in 1/3")

    def has(self, position: int) -> bool:
        """Returns whether the stack at this position, among all stacks, is of this share."""
        return position % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ShardResult:
    """How many models of a share were trained, and how many the cache had before."""

    shard: Shard
    trained: int
    reused: int

    def __str__(self) -> str:
        return (
            f"shard {self.shard}: {self.trained} models trained, {self.reused} were in the cache; "
            "when all shards are done, run the same command without --shard"
        )


def train_shard(
    plans: Sequence[Plan], shard: Shard, jobs: int | None, progress: Progress
) -> ShardResult:
    """Trains the models of a share in `jobs` processes, by default as many as there are cores.

    Other processes may train other shares at the same time, and none waits for another. Which
    models a share has depends only on the studies.
    """
    trained = reused = position = 0
    for plan in plans:
        dataset = plan.design.dataset
        with pool_of(jobs or default_jobs(plan.design.device)) as pool:
            pool.on_event = progress.stage
            shared = pool.share(dataset)
            training_of: dict[Future[list[FinishedModel]], ArmTraining] = {}
            for arm in plan.arms:
                models = _models(arm, shard, position)
                position += -(-arm.settings.models // arm.recipe.stack)
                if not models:
                    continue
                training = ArmTraining(arm, plan.design, progress, models=models)
                with training:  # which makes the folder; models are written without its lock
                    futures = training.submit(pool, shared)
                training_of |= dict.fromkeys(futures, training)
                trained += training.missing
                reused += len(models) - training.missing
            for future in pool.completed():
                training_of[future].keep(future)
            for training in set(training_of.values()):
                training.finish()
    return ShardResult(shard, trained, reused)


def _models(arm: Arm, shard: Shard, position: int) -> list[int]:
    """Returns the models of an arm whose stacks are of the share; `position` is of the first."""
    models, size = range(arm.settings.models), arm.recipe.stack
    return [model for model in models if shard.has(position + model // size)]
