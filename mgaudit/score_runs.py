"""`mgaudit.score`: an audit of outputs or scores that were made elsewhere."""

import hashlib
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgaudit.argument_names import checked_names
from mgaudit.errors import UsageError
from mgaudit.interrupts import NOTHING_KEPT
from mgaudit.planned_conditions import check_arms
from mgaudit.progress_bars import ProgressBars, on_stderr
from mgaudit.reports.files import OUTPUTS_FILE
from mgaudit.result import Result
from mgaudit.running import Finished, as_list, recorded, written
from mgaudit.settings.arguments import CLIP, OUTPUTS, RUNS, SEED
from mgaudit.storage.atomic import write_atomically
from mgaudit.storage.run_folder import RunFolder, path_word
from mgaudit.targets.home import with_home

if TYPE_CHECKING:
    from mgaudit.attacks import Attack, Observations
    from mgaudit.outputs.outputs_file import OutputsFile
    from mgaudit.outputs.score import ScoreArguments
    from mgaudit.outputs.study import OutputsPlan, OutputsSettings

MOST_KEPT_BYTES = 2**30  # larger arrays are not copied into the run directory


@dataclass(frozen=True)
class _Source:
    """What is scored: arrays or observations, and the file that they are from.

    `kind` is what the file says that its outputs are; None where the caller must say it.
    """

    arrays: "ScoreArguments | Observations"
    kind: str | None
    path: Path | None
    note: str


@checked_names()
def score(
    source: "str | Path | Observations | None" = None,
    *,
    logits: Any = None,
    labels: Any = None,
    membership: Any = None,
    population_logits: Any = None,
    population_labels: Any = None,
    scores: Any = None,
    attacks: "str | Attack | Sequence[str | Attack] | None" = None,
    targets: int | Sequence[int] | None = None,
    outputs: str | None = None,
    inputs: Any = None,
    groups: Any = None,
    clip: float | None = None,
    seed: int | None = None,
    name: str | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
    progress: ProgressBars | None = None,
) -> Result:
    """Audits outputs or scores of models that were trained elsewhere.

    Arrays may be NumPy arrays, tensors, DataFrames or lists. Without an axis of models there is one
    model. The membership is checked: see `result.record.studies[0].checks`.

    Args:
        source: A file or directory with the arrays (npz; CSV or Parquet with the columns score and
            member; a directory of LiRA's code), or `Observations`; None if arrays are given.
        logits: Logits (models, examples[, queries], classes), or what `outputs` says.
        labels: Class numbers (examples,) in 0..classes - 1.
        membership: Whether a model trained on an example (models, examples), bool or 0 and 1.
        population_logits, population_labels: The same for data on which no model trained.
        scores: Ready-made scores (models, examples) in place of logits; higher means member.
        attacks: One attack or several (default: stacked, rmia, lira, loss, as far as the outputs
            allow them).
        targets: Numbers of the attacked models (default: each in turn, the others its shadows).
        outputs: "logits", "probabilities", or "confidences" log(p / (1 - p)) of the label without
            the axis of classes (default: logits).
        inputs: Inputs (examples, ...), for a blind baseline without models.
        groups: The group of each example (examples,), such as a person; examples of a group go
            together into a model or stay out of it.
        clip: Least probability (default: 1e-6).
        seed: Random seed of resamples and guesses (default: 0).
        name: The models, for the report (default: the file, or "models").
        out, quiet, progress: As those of `run`.

    Raises:
        UsageError: An argument or a file is wrong.
        RunFailedError: The audit failed while it ran.
    """
    arrays = {"logits": logits, "labels": labels, "membership": membership, "scores": scores}
    arrays |= {"population_logits": population_logits, "population_labels": population_labels}
    arrays |= {"inputs": inputs, "groups": groups}
    settings = {"attacks": as_list(attacks), "targets": targets, "clip": clip, "seed": seed}
    display = progress or on_stderr(quiet)
    return _score(source, arrays, outputs, name, settings, Path(out), display)


def _score(
    source: "str | Path | Observations | None",
    arrays: dict[str, Any],
    outputs: str | None,
    name: str | None,
    settings: dict[str, Any],
    out: Path,
    progress: ProgressBars,
) -> Result:
    """Reads, checks and audits what `score` was given; None is what was not given."""
    from mgaudit.outputs.score import ScoreArguments, plan_score

    progress.stage("reading outputs")
    read = _source(source, ScoreArguments(**arrays))
    if read.kind is not None and outputs not in (None, read.kind):
        rule = f"must be {read.kind!r}, which the file holds, or left out"
        raise UsageError("outputs", rule, repr(outputs))
    shown_name = name or (read.path.name if read.path is not None else "models")
    kind = read.kind or outputs or OUTPUTS.default
    plan = plan_score(read.arrays, outputs=kind, name=shown_name, **settings)
    plan = replace(plan, settings=_complete_settings(plan, read))
    finished = run_outputs_plan(plan, out, progress, None if read.path else OUTPUTS_FILE)
    return Result(finished.record, finished.arrays, finished.folder.path)


def run_outputs_plan(
    plan: "OutputsPlan", out: Path, progress: ProgressBars, keep_as: str | None
) -> Finished:
    """Audits outputs in a new run directory inside `out`.

    `keep_as` is the name of the file in the run directory to which the arrays are written, so that
    the audit can be repeated; None where the user has them in a file.
    """
    from mgaudit.outputs.study import run_outputs
    from mgaudit.reports.results import Result as ResultRecord

    settings = plan.settings
    check_arms([(arm.key, arm.is_plain) for arm in plan.arms], plan.attacks)
    folder = RunFolder.create(out, path_word("score", settings.model_name), _sha256(plan))
    with recorded(folder, progress, NOTHING_KEPT):
        command = _command(plan, keep_as)
        if keep_as is not None and not _keep_arrays(plan, folder.path / keep_as):
            plan = replace(plan, settings=_not_kept(plan))
            command = command.replace(f"RUN/{keep_as}", "OUTPUTS.npz")
        study, arrays = run_outputs(plan, progress)
        record = ResultRecord(
            title="",
            note="",
            command=command,
            settings=study.settings,
            studies=[study],
        )
        return written(record, [arrays], folder, progress)


def _source(source: "str | Path | Observations | None", arrays: "ScoreArguments") -> _Source:
    """Returns what is scored. Raises UsageError unless it is given exactly once."""
    from mgaudit.attacks import Observations

    named = [key for key, value in vars(arrays).items() if value is not None]
    if source is None:
        if not named:
            rule = "must be given: logits with labels and membership, scores, or a file"
            raise UsageError("logits", rule)
        return _Source(arrays, None, None, "")
    if named:
        rule = "must not be given beside a file or observations"
        raise UsageError(named[0], rule, None, "give one of the two")
    if isinstance(source, Observations):
        return _Source(source, None, None, "")
    if not isinstance(source, str | Path):
        rule = "must be a path or Observations"
        value = f"{type(source).__name__}"
        raise UsageError("source", rule, value, "give arrays by name, as in logits=...")
    from mgaudit.outputs.files import read_outputs

    path = with_home(source, "source")
    file = read_outputs(path)
    kind, read = _read(file)
    return _Source(read, kind, path, file.description)


def _read(file: "OutputsFile") -> tuple[str | None, "ScoreArguments"]:
    """Returns what the outputs in a file are, and its arrays under the names of `score`."""
    from mgaudit.outputs.score import ScoreArguments

    arguments = dict(file.arguments)
    kind = arguments.pop("outputs", None)
    if "confidences" in arguments:
        kind = "confidences"
        arguments["logits"] = arguments.pop("confidences")
        if "population_confidences" in arguments:
            arguments["population_logits"] = arguments.pop("population_confidences")
    if file.classes:
        arguments["classes"] = file.classes
    if file.origins:
        arguments["origins"] = file.origins
    return kind, ScoreArguments(**arguments)


def _complete_settings(plan: "OutputsPlan", read: _Source) -> Any:
    """Returns the settings of the plan with the source and the attacks, as results show them."""
    values = {
        "source": "arrays" if read.path is None else str(read.path),
        "attacks": [choice.text for choice in plan.attacks],
        **plan.settings.values,
    }
    source = (f"Source: {read.note}.",) if read.note else ()
    notes = source + plan.settings.notes
    return replace(plan.settings, values=values, notes=notes)


def _sha256(plan: "OutputsPlan") -> str:
    """Returns the SHA-256 of everything that determines the result."""
    from mgaudit.study.provenance import outputs_provenance

    provenance = outputs_provenance()
    settings = plan.settings
    parts = [
        settings.values,
        settings.seed,
        settings.data_sha256,
        provenance.code_sha256,
        provenance.versions,
        [choice.own_sha256 for choice in plan.attacks],
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _not_kept(plan: "OutputsPlan") -> "OutputsSettings":
    """Returns the settings with a note that the audit needs the arrays of the caller again."""
    note = (
        "The arrays are not in the run directory, because they are very large or have extras. To "
        "repeat the audit, give them to mgaudit.score again."
    )
    return replace(plan.settings, notes=(*plan.settings.notes, note))


def _keep_arrays(plan: "OutputsPlan", path: Path) -> bool:
    """Writes the arrays of the outputs, unless they are very large or have extras.

    Returns whether they were written.
    """
    from mgaudit.outputs.score import arrays_of

    arrays: dict[str, Any] = arrays_of(plan.arms[0].outputs)
    extras = getattr(plan.arms[0].outputs, "extras", {})
    if extras or sum(array.nbytes for array in arrays.values()) > MOST_KEPT_BYTES:
        return False
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())
    return True


def _command(plan: "OutputsPlan", keep_as: str | None) -> str:
    """Returns the command that repeats the audit, with RUN as the run directory."""
    settings = plan.settings
    source = f"RUN/{keep_as}" if keep_as else shlex.quote(settings.values["source"])
    words = ["mgaudit score", source]
    if settings.values["outputs"] != OUTPUTS.default and not keep_as:
        words.append(f"--outputs {settings.values['outputs']}")
    words += [f"--attack {shlex.quote(choice.text)}" for choice in plan.attacks]
    words += [f"--target {target}" for target in settings.targets or ()]
    if settings.values["clip"] != CLIP.default:
        words.append(f"--clip {settings.values['clip']!r}")
    if settings.seed != SEED.default:
        words.append(f"--seed {settings.seed}")
    return " ".join(words)
