"""The work of a worker: train one stack of models and query them.

The module imports little, because each worker imports it before it starts to train.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgaudit.settings.choices import Choice, own_code
from mgaudit.storage.ensembles import EnsembleFolder, Outputs
from mgaudit.study.questions import Question
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.own_module import RAISED
from mgaudit.targets.querying.ensemble import Ensemble, tensor_layout

SCRIPT = "__main__:"  # before the names of classes in the script that was started


@dataclass(frozen=True)
class PackedMembership:
    """Whether models are trained on examples, with 8 examples in a byte."""

    bits: NDArray[np.uint8]
    examples: int

    @classmethod
    def of(cls, membership: NDArray[np.bool_]) -> "PackedMembership":
        """Returns the packed membership (models, examples)."""
        return cls(np.packbits(membership, axis=1), membership.shape[1])

    def unpacked(self) -> NDArray[np.bool_]:
        """Returns the membership (models, examples), bool."""
        return np.unpackbits(self.bits, axis=1, count=self.examples).astype(bool)


@dataclass(frozen=True)
class StackTask:
    """One stack to train, that is, a group of models that are trained as one.

    Args:
        folder: The folder of the ensemble, where the models will be kept.
        recipe: How the models are trained.
        members: The membership of the models of the stack, one bit for each example.
        indices: The indices of the models of the stack.
        device: The device, such as "cpu".
        questions: What the models are queried for.
        choices: What the user chose, among which may be classes of the user's own.
        own_code: The SHA-256 of each source file of these classes.
    """

    folder: EnsembleFolder
    recipe: Recipe
    members: "PackedMembership"
    indices: list[int]
    device: str
    questions: tuple[Question, ...]
    choices: tuple[Choice, ...]
    own_code: dict[str, str]


@dataclass(frozen=True)
class FinishedModel:
    """A trained model: its index, the content of its file, and its outputs by question.

    The outputs are those for one model, (1, examples, queries, classes). There are none of a model
    that diverged, or that cannot be queried.
    """

    index: int
    content: bytes
    outputs: dict[str, Outputs] = field(default_factory=dict)


def train_stack(task: StackTask, dataset: Dataset) -> list[FinishedModel]:
    """Trains and queries the models of a stack. Nothing is written.

    Raises:
        RuntimeError: If the source of the user's own classes is not that of the plan.
    """
    _check_own_code(task)
    trained = train(task.recipe, dataset, task.members.unpacked(), task.indices, task.device)
    finished = []
    for index, model in zip(task.indices, trained, strict=True):
        facts = {"steps": model.steps, "seconds": model.seconds, "diverged": model.diverged}
        content = task.folder.model_content(index, model.weights, facts)
        outputs = {} if model.diverged else _outputs(task, index, content, dataset)
        finished.append(FinishedModel(index, content, outputs))
    return finished


def _check_own_code(task: StackTask) -> None:
    # A worker imports the classes again, except for those of the script that was started, which
    # it receives with their code.
    imported = [choice for choice in task.choices if not choice.name.startswith(SCRIPT)]
    expected = {name: sha for name, sha in task.own_code.items() if not name.startswith(SCRIPT)}
    if own_code(imported) != expected:
        raise RuntimeError(
            f"the source of {', '.join(task.own_code)} was edited during the run; run again"
        )


def _outputs(task: StackTask, index: int, content: bytes, dataset: Dataset) -> dict[str, Outputs]:
    """Returns the outputs of a model by question; none of a model that cannot be queried.

    The weights are read from the content of the file, as they will be from the store: weights as
    training leaves them may have other strides, for which a convolution rounds otherwise.
    """
    outputs: dict[str, Outputs] = {}
    if not task.questions:
        return outputs
    network = initial_model(task.recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    weights = task.folder.model_in(index, content, tensor_layout(network)).weights
    try:
        ensemble = Ensemble(network, [weights], task.recipe.traits)
        for question in task.questions:
            answer = question.answer(ensemble, dataset, task.device, task.recipe.seed)
            outputs[question.what] = answer
    except RAISED:  # the error is raised when the models are queried for an attack
        return {}
    return outputs
