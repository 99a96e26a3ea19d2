"""The plan of an audit of a checkpoint, checked before any shadow model is trained."""

import hashlib
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.checkpoint.members import audited_examples, without_copies
from mgaudit.errors import UsageError
from mgaudit.outputs.model_outputs import ModelOutputs, OutputsArm
from mgaudit.outputs.study import OutputsPlan, OutputsSettings, plan_outputs
from mgaudit.reports.files import CHECKPOINT_FILE, MEMBERS_FILE, NON_MEMBERS_FILE
from mgaudit.settings.named_code import permission
from mgaudit.settings.study_settings import CheckpointSettings
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.storage.run_folder import SETTINGS_FILE, path_word
from mgaudit.study.attack_trial import OutputShapes, check_attacks
from mgaudit.study.design import Design, draw_design
from mgaudit.study.extras import EXTRAS
from mgaudit.study.network_check import checked_network
from mgaudit.study.plan import Arm, plan_arm
from mgaudit.study.provenance import run_sha256
from mgaudit.study.stacking import with_stack
from mgaudit.targets.datasets import Inputs
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.home import with_home
from mgaudit.targets.querying.checkpoint import (
    check_class,
    checkpoint_of,
    fitted_weights,
    read_checkpoint,
    saved_weights,
)
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.seeds import numpy_generator

KEY = "checkpoint"  # of the arm
IN_MEMORY = "checkpoint"  # the name of a checkpoint that was not given as a file
STANDARDISED = (
    "The checkpoint was queried with inputs that mgaudit standardised with the statistics of all "
    "training examples, as for the shadow models."
)
RAW = (
    "The checkpoint was queried with the inputs as the dataset stores them, and the shadow models "
    "with standardised inputs."
)


@dataclass(frozen=True)
class Target:
    """The model that is audited.

    `weights` are its tensors by name. It is queried with `inputs` (examples, ...) and `test_inputs`
    (test examples, ...), float32. `path` is its file, None for a model that was given in Python.
    """

    name: str
    path: Path | None
    weights: dict[str, NDArray[Any]]
    inputs: NDArray[np.float32]
    test_inputs: NDArray[np.float32]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CheckpointPlan:
    """An audit of a checkpoint that was checked against its data and can be run.

    `rows` (audited,) are the positions in the data of the audited examples, in the order in which
    the examples are stored. `membership` (1 + shadows, audited) begins with the target's row.
    """

    settings: CheckpointSettings
    design: Design
    arm: Arm
    target: Target
    rows: NDArray[np.int64]
    membership: NDArray[np.bool_]
    outputs: OutputsSettings

    @property
    def slug(self) -> str:
        """The checkpoint and the dataset as one word for a path."""
        file = [] if self.target.path is None else [self.target.name]
        return path_word("checkpoint", *file, self.settings.dataset.name)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that determines the result."""
        settings = self.settings.as_dict()
        shared = run_sha256(settings, [self.arm.settings], self.design)
        members = arrays_sha256({"rows": self.rows, "membership": self.membership[0]})
        parts = [shared, members, arrays_sha256(self.target.weights)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The number of the group of each audited example (audited,); None if none share coins."""
        groups = self.design.groups
        return None if groups is None else groups.numbers[self.rows]

    @property
    def member_indices(self) -> NDArray[np.int64]:
        """The indices of the target's members in the training split."""
        indices: NDArray[np.int64] = self.design.dataset.indices[self.rows[self.membership[0]]]
        return indices

    @property
    def non_member_indices(self) -> NDArray[np.int64]:
        """The indices of the target's non-members in the training split."""
        indices: NDArray[np.int64] = self.design.dataset.indices[self.rows[~self.membership[0]]]
        return indices

    @property
    def command(self) -> str:
        """The command that repeats the audit, with RUN as the run directory."""
        path = self.target.path
        source = f"RUN/{CHECKPOINT_FILE}" if path is None else shlex.quote(str(path))
        members = f"--members RUN/{MEMBERS_FILE} --non-members RUN/{NON_MEMBERS_FILE}"
        settings = f"--settings RUN/{SETTINGS_FILE}{permission(self.settings.as_dict())}"
        return f"mgaudit audit-checkpoint {source} {members} {settings}"

    def kept_files(self) -> dict[str, bytes]:
        """Returns the files that the command needs and the user may not have, by name."""
        files = {
            MEMBERS_FILE: _npy(self.member_indices),
            NON_MEMBERS_FILE: _npy(self.non_member_indices),
        }
        if self.target.path is None:
            files[CHECKPOINT_FILE] = saved_weights(self.target.weights)
        return files

    def ensemble(self) -> Ensemble:
        """Returns the target as an ensemble of one model."""
        dataset, build = self.design.dataset, self.arm.recipe.target
        network = initial_model(build, dataset.input_shape, len(dataset.classes), seed=0)
        return Ensemble(network, [self.target.weights], self.arm.recipe.traits)


def _npy(array: NDArray[Any]) -> bytes:
    """Returns the content of a npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def plan_checkpoint(
    checkpoint: object,
    members: object,
    non_members: object,
    settings: CheckpointSettings,
    attacks: Sequence[object] | None,
) -> CheckpointPlan:
    """Returns the plan: data, checkpoint, members, network and attacks are checked.

    Args:
        checkpoint: A path, a state dict, or a model of the class of the network.
        members: Indices, a mask, a range or a file, as for `audited_examples`.
        non_members: The same; None are all other examples.
        settings: How the shadow models are trained, and which attacks use them.
        attacks: The attacks that the user asked for; None for the default ones, which are mounted
            as far as there are enough shadow models.

    Raises:
        UsageError: For an argument that does not fit the data or another argument.
        OSError: For data that cannot be read.
    """
    if settings.examples is not None:
        rule = "must be left out: members and non-members say which examples are audited"
        raise UsageError("examples", rule, str(settings.examples))
    study = settings.study()
    design = draw_design(study)
    target = _target(checkpoint, settings, design)
    audited = audited_examples(members, non_members, len(design.dataset.labels))
    position_of = np.argsort(design.dataset.indices)
    assert design.copies is not None  # of data that `draw_design` loaded
    audited, left_out = without_copies(audited, design.copies.first[position_of])
    rows = position_of[audited.indices]
    membership = np.concatenate([audited.is_member[np.newaxis], design.membership[:, rows]])
    _refuse_same_members(membership)
    study = with_stack(study, design)
    settings = settings.model_copy(update={"stack": study.stack})
    (arm_settings,) = study.arms()
    arm = plan_arm(arm_settings, design)
    outputs = OutputsSettings(
        attacks=attacks,
        targets=[0],
        seed=settings.seed,
        models_from="checkpoint",
        model_name=target.name,
        data_name=design.dataset.name,
        data_sha256=design.sha256,
        own_coins=False,
        values={},
        notes=(*target.notes, *design.notes, *left_out),
    )
    plan = CheckpointPlan(settings, design, arm, target, rows, membership, outputs)
    return _with_attacks(plan)


def _target(checkpoint: object, settings: CheckpointSettings, design: Design) -> Target:
    """Returns the model that the user gave, with its inputs."""
    dataset, network = design.dataset, settings.target
    shape, classes = dataset.input_shape, len(dataset.classes)
    path = with_home(checkpoint, "checkpoint") if isinstance(checkpoint, str | Path) else None
    check_class(checkpoint, network)
    read = checkpoint_of(checkpoint) if path is None else read_checkpoint(path)
    checked_network(network, design)
    model = initial_model(network.built, shape, classes, seed=0)
    weights, notes = fitted_weights(read, model, network.text)
    inputs, test_inputs = dataset.inputs, dataset.test_inputs
    if settings.inputs == "raw":
        raw = settings.dataset.load(None, numpy_generator(settings.seed, "examples"))
        inputs, test_inputs = _float32(raw.inputs), _float32(raw.test_inputs)
    about_inputs = RAW if settings.inputs == "raw" else STANDARDISED
    name = IN_MEMORY if path is None else path.name
    return Target(name, path, weights, inputs, test_inputs, (*notes, about_inputs))


def _float32(inputs: Inputs) -> NDArray[np.float32]:
    return np.asarray(inputs, dtype=np.float32)


def _refuse_same_members(membership: NDArray[np.bool_]) -> None:
    """Raises UsageError where a shadow model would have the members of the target."""
    same = (membership[1:] == membership[0]).all(axis=1)
    if same.any():
        shadow = int(same.argmax())
        rule = "must give shadow models other members than those of the checkpoint"
        value = f"the same members for shadow model {shadow}"
        raise UsageError("seed", rule, value, "use another seed")


def _with_attacks(plan: CheckpointPlan) -> CheckpointPlan:
    """Returns the plan with the attacks to mount, which are checked before anything is trained."""
    planned = plan_outputs(
        [OutputsArm(**_arm(plan), outputs=_stand_in(plan))], plan.membership, plan.outputs
    )
    attacks = planned.attacks
    if not attacks:
        rule = "must be enough for an attack"
        raise UsageError("models", rule, str(plan.settings.models), "train more shadow models")
    shapes = OutputShapes.of_design(plan.design, plan.arm.queries.number)
    check_attacks(attacks, replace(shapes, models=len(plan.membership)))
    settings = plan.settings.model_copy(update={"attacks": attacks})
    arm_settings = plan.arm.settings.model_copy(update={"attacks": attacks})
    return replace(
        plan,
        settings=settings,
        arm=replace(plan.arm, settings=arm_settings),
        outputs=replace(plan.outputs, attacks=attacks),
    )


def _arm(plan: CheckpointPlan) -> dict[str, Any]:
    return {"key": KEY, "label": plan.target.name, "is_plain": False}


def _stand_in(plan: CheckpointPlan) -> ModelOutputs:
    """Returns outputs of the shapes that there will be, without memory for their values."""
    dataset, number = plan.design.dataset, plan.arm.queries.number
    models, examples = plan.membership.shape
    tests, classes = len(dataset.test_labels), len(dataset.classes)
    zero = np.zeros((), dtype=np.float32)
    return ModelOutputs(
        logits=np.broadcast_to(zero, (models, examples, number, classes)),
        labels=dataset.labels[plan.rows],
        membership=plan.membership,
        population_logits=np.broadcast_to(zero, (models, tests, number, classes)),
        population_labels=dataset.test_labels,
        true_labels=dataset.labels[plan.rows],
        classes=dataset.classes,
        origins=tuple(dataset.origins[row] for row in plan.rows),
        inputs=dataset.inputs[plan.rows],
        groups=plan.groups,
        extras={name: np.broadcast_to(zero, (models, examples)) for name in EXTRAS},
        population_extras={
            name: np.broadcast_to(zero, (models, tests))
            for name, extra in EXTRAS.items()
            if extra.of_population
        },
    )


def arm_of(plan: CheckpointPlan, outputs: ModelOutputs, failed: list[int]) -> OutputsArm:
    """Returns the arm of the target; `failed` are the rows of shadow models without outputs."""
    recipe = plan.arm.recipe
    rate = recipe.training.rate(private=recipe.plan is not None)
    return OutputsArm(**_arm(plan), outputs=outputs, failed=failed, learning_rate=rate)


def planned_outputs(plan: CheckpointPlan, arm: OutputsArm) -> OutputsPlan:
    """Returns the plan of the attacks on outputs, with facts that outputs alone do not have."""
    planned = plan_outputs([arm], plan.membership, plan.outputs)
    pictures = plan.design.pictures
    data = replace(
        planned.data,
        expected_members=float(plan.membership[0].sum()),
        pictures=None if pictures is None else pictures[plan.rows],
    )
    return replace(planned, data=data)
