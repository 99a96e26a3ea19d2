"""Directories in the layout of tensorflow/privacy, research/mi_lira_2021, and of its ports."""

from pathlib import Path

import numpy as np
import pytest

from mgaudit.attacks.signals import logit_confidence
from mgaudit.errors import UsageError
from mgaudit.outputs.arrays import confidence_logits
from mgaudit.outputs.files import read_outputs

MODELS, EXAMPLES, AUGMENTATIONS, CLASSES = 11, 12, 2, 4
DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(size=(MODELS, EXAMPLES, AUGMENTATIONS, CLASSES)).astype(np.float16)
LABELS = DRAW.integers(0, CLASSES, EXAMPLES)
KEEP = np.array([np.arange(EXAMPLES) % (model + 2) == 0 for model in range(MODELS)])
PHI = np.stack([logit_confidence(logits, LABELS) for logits in LOGITS])
EPOCH = "0000000100.npy"


def save(path: Path, array: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)  # type: ignore[arg-type]
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven experiments as inference.py and score.py write them."""
    folder = tmp_path / "exp"
    for model in range(MODELS):
        experiment = folder / f"experiment-{model}_{MODELS}"
        save(experiment / "keep.npy", KEEP[model])
        save(experiment / "logits" / EPOCH, LOGITS[model][:, np.newaxis])
        save(experiment / "scores" / EPOCH, PHI[model])
        (experiment / "ckpt").mkdir()
        (experiment / "hparams.json").write_text("{}")
    save(folder / "y_train.npy", LABELS)
    (folder / ".ipynb_checkpoints").mkdir()
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(UsageError) as raised:
        read_outputs(folder)
    message = str(raised.value)
    assert message.startswith(str(folder)), message
    assert "\n" not in message
    return message


def test_logits_are_read_in_the_order_of_the_experiments(folder: Path) -> None:
    outputs = read_outputs(folder)
    arguments = outputs.arguments
    assert outputs.kind == "lira"
    assert outputs.models[-2:] == ("experiment-9_11", "experiment-10_11")
    assert arguments["logits"].dtype == np.float16
    assert np.array_equal(arguments["logits"], LOGITS)
    assert np.array_equal(arguments["membership"], KEEP)
    assert np.array_equal(arguments["labels"], LABELS)
    assert set(arguments) == {"logits", "membership", "labels"}
    assert "logits of 11 experiments, 12 examples" in outputs.description


@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (4,)])
def test_logits_may_lack_axes(folder: Path, shape: tuple[int, ...]) -> None:
    for path in folder.glob("*/logits/*.npy"):
        logits = np.load(path)
        save(path, logits[:, 0, 0] if shape == (4,) else logits.reshape(-1, *shape))
    expected = LOGITS[:, :, :1] if shape == (4,) else LOGITS
    assert np.array_equal(read_outputs(folder).arguments["logits"], expected)


def test_scores_are_confidences(folder: Path) -> None:
    (folder / "y_train.npy").unlink()
    outputs = read_outputs(folder)
    assert np.array_equal(outputs.arguments["confidences"], PHI)
    assert "labels" not in outputs.arguments
    assert "scores of 11 experiments" in outputs.description
    logits = confidence_logits(outputs.arguments["confidences"])
    zeros = np.zeros(EXAMPLES, dtype=np.int64)
    for model in range(MODELS):
        assert np.array_equal(logit_confidence(logits[model], zeros), PHI[model])
    for path in folder.glob("*/scores/*.npy"):
        save(path, np.load(path)[:, 0])
    assert np.array_equal(read_outputs(folder).arguments["confidences"], PHI[:, :, :1])


def test_scores_are_read_with_labels_where_there_are_no_logits(folder: Path) -> None:
    for path in folder.glob("*/logits/*.npy"):
        path.unlink()
    arguments = read_outputs(folder).arguments
    assert set(arguments) == {"confidences", "membership", "labels"}


def test_the_files_of_a_port_are_read(folder: Path) -> None:
    """Chenxiang Zhang's port to PyTorch writes 0/logits.npy and 0/keep.npy."""
    for model in range(MODELS):
        experiment = (folder / f"experiment-{model}_{MODELS}").rename(folder / str(model))
        (experiment / "logits" / EPOCH).unlink()
        (experiment / "logits").rmdir()
        save(experiment / "logits.npy", LOGITS[model])
    arguments = read_outputs(folder).arguments
    assert np.array_equal(arguments["logits"], LOGITS)
    assert np.array_equal(arguments["membership"], KEEP)


def test_the_last_epoch_is_read(folder: Path) -> None:
    for path in folder.glob("*/logits/*.npy"):
        save(path.with_name("0000000020.npy"), np.load(path) + 1)
        save(path.with_name("9.npy"), np.load(path) + 2)
        path.with_name("._0000000200.npy").write_bytes(b"\0")
    outputs = read_outputs(folder)
    assert np.array_equal(outputs.arguments["logits"], LOGITS)
    assert f"the last of 3 epochs, {EPOCH}" in outputs.description
    save(folder / "experiment-3_11" / "logits" / "0000000150.npy", LOGITS[3] + 5)
    outputs = read_outputs(folder)
    assert np.array_equal(outputs.arguments["logits"][3], LOGITS[3] + 5)
    assert f"the last epoch of each, {EPOCH} to 0000000150.npy" in outputs.description
    save(folder / "experiment-3_11" / "logits" / "test.npy", LOGITS[3])
    assert "test.npy must have a number" in refused(folder)


def test_labels_of_the_parent_and_of_a_longer_dataset_are_used(folder: Path) -> None:
    longer = np.concatenate([LABELS, [9, 9]])
    (folder / "y_train.npy").unlink()
    save(folder.parent / "y_train.npy", longer[:, np.newaxis])
    save(folder / "x_train.npy", np.arange(28).reshape(14, 2))
    for path in folder.glob("*/keep.npy"):
        save(path, np.concatenate([np.load(path), [True, True]]))
    outputs = read_outputs(folder)
    assert np.array_equal(outputs.arguments["labels"], LABELS)
    assert outputs.arguments["inputs"].tolist() == np.arange(24).reshape(12, 2).tolist()
    assert np.array_equal(outputs.arguments["membership"], KEEP)
    for name in ("keep.npy", "y_train.npy", "x_train.npy"):
        assert f"the first 12 of 14 in {name}" in outputs.description


def test_one_experiment_is_one_model(folder: Path) -> None:
    arguments = read_outputs(folder / "experiment-4_11").arguments
    assert np.array_equal(arguments["logits"], LOGITS[4:5])
    assert np.array_equal(arguments["labels"], LABELS)


@pytest.mark.parametrize(
    ("file", "array", "words"),
    [
        ("keep.npy", None, ["experiment-3_11 must have the file keep.npy"]),
        ("keep.npy", KEEP[3][:5], ["experiment-3_11/keep.npy", "12 examples", "(5,)"]),
        ("keep.npy", np.zeros(EXAMPLES), ["experiment-3_11/keep.npy", "0 of 12"]),
        ("keep.npy", np.flatnonzero(KEEP[3]), ["experiment-3_11/keep.npy"]),
        ("keep.npy", np.arange(EXAMPLES), ["experiment-3_11/keep.npy", "indices"]),
        ("keep.npy", np.array({1: 2}), ["experiment-3_11/keep.npy", "no Python objects"]),
        (f"logits/{EPOCH}", LOGITS[3][:5], ["(5, 2, 4)", "(12, 2, 4)", "experiment-0_11"]),
        (f"logits/{EPOCH}", LOGITS[3][:, :, :3], ["experiment-3_11", "(12, 2, 3)"]),
        (f"logits/{EPOCH}", np.zeros(12), ["experiment-3_11", "(examples, classes)", "(12,)"]),
        (f"logits/{EPOCH}", np.zeros((12, 3, 2, 4)), ["experiment-3_11", "(12, 3, 2, 4)"]),
        (f"logits/{EPOCH}", np.full((12, 2, 4), np.nan), ["experiment-3_11", "nan for example 0"]),
        (f"logits/{EPOCH}", np.full((12, 2, 4), "a"), ["experiment-3_11", "numbers"]),
        (f"logits/{EPOCH}", np.zeros((12, 2, 4), complex), ["experiment-3_11", "complex"]),
        (f"logits/{EPOCH}", None, []),
        ("../y_train.npy", LABELS[:5], ["y_train.npy", "12 examples", "(5,)"]),
        ("../y_train.npy", LABELS + 1, ["y_train.npy", "0..3", "subtract 1"]),
        ("../y_train.npy", LABELS.astype(str), ["y_train.npy", "text"]),
        ("../x_train.npy", np.zeros(5), ["x_train.npy", "12 examples"]),
    ],
)
def test_a_file_that_is_missing_or_does_not_fit_is_named(
    folder: Path, file: str, array: object, words: list[str]
) -> None:
    path = folder / "experiment-3_11" / file
    if array is not None:
        save(path, array)
        for word in words:
            assert word in refused(folder)
        return
    path.unlink()
    if words:
        assert words[0] in refused(folder)
    else:
        assert "confidences" in read_outputs(folder).arguments  # all have scores
        (folder / "experiment-3_11" / "scores" / EPOCH).unlink()
        assert "experiment-3_11 must have npy files in logits/ or scores/" in refused(folder)


def test_damaged_files_are_named(folder: Path) -> None:
    path = folder / "experiment-3_11" / "logits" / EPOCH
    content = path.read_bytes()
    for damaged in (b"", content[:50], content[:-7], b"x" * 300):
        path.write_bytes(damaged)
        assert f"{path} must be an npy file" in refused(folder)


def test_logits_without_labels_are_refused(folder: Path) -> None:
    (folder / "y_train.npy").unlink()
    for path in folder.glob("*/scores/*.npy"):
        path.unlink()
    message = refused(folder)
    assert "y_train.npy" in message
    assert "save the class numbers" in message


def test_a_directory_without_experiments_names_where_they_are(folder: Path) -> None:
    assert f"give the directory {folder}" in refused(folder.parent)
    (folder.parent / "other").mkdir()
    assert "an experiment is a directory with keep.npy" in refused(folder.parent / "other")
    (folder.parent / "other" / "result.json").write_text("{}")
    assert "mgaudit report" in refused(folder.parent / "other")
