"""Every error is one line and an exit code: 2 for a mistake of the user, 1 for anything else."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.cli.options import option
from mgaudit.errors import UsageError
from mgaudit.settings.arguments import training_argument
from mgaudit.settings.study_settings import CheckpointSettings, DPAuditSettings, StudySettings
from mgaudit.targets.training import Help, Training
from tests.fake_study import arrays, study, write
from tests.fake_study import result as fake_result

SMALL = [
    "--target",
    "mlp:hidden=16",
    "--examples",
    "200",
    "--models",
    "4",
    "--epochs",
    "1",
    "--jobs",
    "1",
    "--no-dp",
]

# Arguments, then the key that the line must name and the value that it must state.
WRONG = [
    (["run", "--out", ""], "--out", "''"),
    (["compare", "quick", "--out="], "--out", "''"),
    (["runs", "--runs", ""], "--runs", "''"),
    (["nope"], "nope", "nope"),
    (["run", "--epoch", "3"], "--epochs", "--epoch"),
    (["run", "--epochs", "many"], "--epochs", "many"),
    (["run", "--epochs", "0"], "epochs", "0"),
    (["run", "--batch-size", "-1"], "batch_size", "-1"),
    (["run", "--optimizer", "lion"], "optimizer", "lion"),
    (["run", "--learning-rate", "nan"], "learning_rate", "nan"),
    (["run", "--augment", "cutout"], "augment", "cutout"),
    (["run", "--precision", "fp8"], "precision", "fp8"),
    (["run", "--local-steps", "2"], "local_steps", "2"),
    (["run", "--clients", "65"], "clients", "65"),
    (["run", "--jobs", "0"], "jobs", "0"),
    (["run", "--kappa", "-1"], "kappa", "-1"),
    (["run", "--scheme", "dp-sgd:noise_multiplier=1e300"], "noise_multiplier", "1e300"),
    (["run", "--scheme", "dp-sgd:noise_multiplier=1,delta=1"], "delta", "1"),
    (["run", "--delta", "0.01"], "delta", "0.01"),
    (["run", "--target", "vit"], "target", "vit"),
    (["run", "--seed", "-1"], "seed", "-1"),
    (["run", "--models", "2"], "models", "2"),
    (["run", "--dataset", "nothing"], "dataset", "nothing"),
    (["run", "--settings", "/nowhere.toml"], "settings", "/nowhere.toml"),
    (["run", "--no-dp", "--out", "/proc/nowhere"], "--out", "/proc"),
    (["compare", "nowhere"], "study", "nowhere"),
    (["compare", "--scheme", "mask"], "scheme", "mask"),
    (["audit-checkpoint", "nowhere.pt"], "members", "--members members.npy"),
    (["audit-checkpoint", "nowhere.pt", "--members", "0:9"], "nowhere.pt", "nowhere.pt"),
    (["audit-checkpoint", "nowhere.pt", "--members", "0:9", "--inputs", "x"], "inputs", "'x'"),
    (["audit-dp", "--clients", "3"], "--clients", "--clients"),
    (["audit-dp", "--epochs", "0"], "epochs", "0"),
    (["audit-dp", "--canaries", "3"], "canaries", "3"),
    (["audit-dp", "--guesses", "2"], "guesses", "2"),
    (["reproduce", "no-paper"], "paper", "no-paper"),
    (["reproduce", "--format", "docx"], "format", "docx"),
    (["report", "nowhere"], "nowhere", "nowhere"),
    (["report", "nowhere", "--format", "docx"], "format", "docx"),
    (["report"], "RUN", "RUN"),
    (["runs", "--runs", "/nowhere"], "--runs", "/nowhere"),
    (["runs", "show", "nowhere"], "nowhere", "nowhere"),
    (["runs", "compare", "nowhere", "neither"], "nowhere", "nowhere"),
    (["runs", "remove", "nowhere", "--yes"], "RUN", "nowhere"),
    (["data", "fetch", "imagenet"], "data", "imagenet"),
    (["list", "planets"], "KIND", "planets"),
]

UNEXPECTED = [
    KeyError("logits"),
    MemoryError(),
    RecursionError("too deep"),
    TypeError("no"),
    AssertionError(),
]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    WRONG,
    ids=lambda part: "_".join(part) if isinstance(part, list) else "",
)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(
    arguments: list[str],
    key: str,
    value: str,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shows_progress = ("run", "compare", "audit-checkpoint", "audit-dp", "reproduce")
    quiet = ["--quiet"] if arguments[0] in shows_progress else []
    result = mgaudit(*arguments, *quiet)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert key in result.stderr
    assert value in result.stderr
    assert not list(tmp_path.glob("runs/*"))
    assert not (own_cache / "ensembles").exists()


# Study files that are wrong, then the key that the line must name.
WRONG_STUDIES = {
    "": "arms",
    "training = false": "training",
    "training = [1]": "training",
    "training.epochs = 99999999999999999999": "s.toml",
    f"models = 0x{'f' * 6000}": "s.toml",
    f"models = {'9' * 6000}": "s.toml",
    "models = nan": "models",
    "models = 1000000000": "models",
    "models = 1979-05-27": "models",
    "training.learning_rate = inf": "training.learning_rate",
    "stacks = true": "stacks",
    "notes = 3": "notes",
    "seeds = [[1]]": "seeds[0]",
    "datasets = [{a = 1}]": "datasets[0]",
    'dataset = "synthetic:size=1000000000000"': "synthetic.size",
    "arms = 'x'": "arms",
    "arms = [[1]]": "arms[0]",
    "arms = [{scheme = 'gaussian-mask', kappa = nan}]": "arms[0].kappa",
    "arms = [{scheme = 'gaussian-mask', kappa = {a = 1}}]": "arms[0].kappa",
    "arms = [{scheme = 'gaussian-mask', nothing = 1}]": "arms[0].nothing",
    f"a = {'[' * 5000}{']' * 5000}": "s.toml",
    f"# {'x' * 1_000_000}": "s.toml",
    "\0": "s.toml",
    "\u00ff".encode("utf-16"): "s.toml",
    b"\x89PNG\xff": "s.toml",
}

OWN = """
import sys
from dataclasses import dataclass
import numpy as np
from torch import nn
from mgaudit.attacks import Attack
from mgaudit.targets.schemes import Scheme

def leaves():
    sys.exit(0)

def arrays(x=1.0, y=1, **changed):
    inputs, labels = np.random.default_rng(0).random((60, 4)), np.arange(60) % 2
    train = {"x_train": inputs[:40] * x, "y_train": labels[:40] * y}
    return {**train, "x_test": inputs[40:], "y_test": labels[40:]}

def overflows():
    return tuple(arrays(x=1e300).values())

def complexes():
    return tuple(arrays(x=1j).values())

def gaps():
    return tuple(arrays(y=10**12).values())

class Leaves(nn.Module):
    def __init__(self, shape, n):
        sys.exit(0)

class Unknown(nn.Module):
    def __init__(self, shape, n, width: "nothing" = 3):
        super().__init__()

@dataclass(frozen=True)
class Ends(Attack):
    def __post_init__(self):
        sys.exit(3)

    def score(self, view): ...

@dataclass(frozen=True)
class Needy(Attack):
    needs = 3

    def score(self, view): ...

@dataclass(frozen=True)
class Nothing(Scheme):
    def training(self, training): ...

@dataclass(frozen=True)
class Gone(Scheme):
    def extend(self, model): ...
"""

# What of the user's own code is wrong, by the option that names it.
WRONG_CODE = [
    ("--dataset", "sys:exit"),
    ("--dataset", "sys:nothing"),
    ("--dataset", "os:getcwd"),
    ("--dataset", "exits:data"),
    ("--dataset", "own:leaves"),
    ("--dataset", "own:overflows"),
    ("--dataset", "own:complexes"),
    ("--dataset", "own:gaps"),
    ("--target", "exits:Net"),
    ("--target", "own:Leaves"),
    ("--target", "own:Unknown:width=1"),
    ("--attack", "own:Ends"),
    ("--attack", "own:Needy"),
    ("--scheme", "own:Nothing"),
    ("--scheme", "own:Gone"),
]


def assert_is_a_mistake_in_one_line(result: Any, key: str, case: object) -> None:
    assert result.exit_code == 2, (case, result.output)
    assert result.stdout == "", case
    assert result.stderr.startswith("error: "), case
    assert result.stderr.count("\n") == 1, (case, result.stderr)
    assert key in result.stderr, (case, result.stderr)
    assert not Path("runs").exists(), case


def test_a_study_file_that_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("s.toml")
    for content, key in WRONG_STUDIES.items():
        arms = (
            ""
            if isinstance(content, bytes) or content == "" or "arms" in content
            else 'schemes = ["none"]\n'
        )
        file.write_bytes(content if isinstance(content, bytes) else (arms + content).encode())
        assert_is_a_mistake_in_one_line(mgaudit("compare", "s.toml", "--quiet"), key, content[:60])
    file.unlink()
    file.mkdir()
    assert_is_a_mistake_in_one_line(mgaudit("compare", "s.toml", "--quiet"), "s.toml", "folder")


def test_own_code_that_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("own.py").write_text(OWN)
    Path("exits.py").write_text("import sys\nsys.exit(0)\n")
    for name, value in WRONG_CODE:
        result = mgaudit("run", *SMALL, "--quiet", "--stack", "1", name, value)
        assert_is_a_mistake_in_one_line(result, value.rpartition(":width")[0] or value, value)
    for name in ("own", "exits"):
        sys.modules.pop(name, None)


def test_an_image_or_an_archive_that_is_damaged_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for split, name in product(("train", "test"), "ab"):
        Path("images", split, name).mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(Path("images", split, name, f"{number}.png"))
    image = Path("images/train/a/0.png")
    whole = image.read_bytes()
    for side in (10_000, 60_000):  # above PIL's limits for a warning and for an error
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        bomb = whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
        image.write_bytes(bomb)
        assert_is_a_mistake_in_one_line(
            mgaudit("run", "--quiet", "--dataset", "folder:images"), "0.png", side
        )
    image.unlink()
    image.symlink_to("0.png")
    assert_is_a_mistake_in_one_line(
        mgaudit("run", "--quiet", "--dataset", "folder:images"), "0.png", "loop"
    )
    archive = Path("a.npz")
    for header in (
        "(" * 3000,
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}",
        "no array",
    ):
        text = header.replace("10**15", str(10**15)).encode()
        array = (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
            if header != "no array"
            else text
        )
        with ZipFile(archive, "w") as file:
            for name in ("x_train", "y_train", "x_test", "y_test"):
                file.writestr(f"{name}.npy", array)
        assert_is_a_mistake_in_one_line(
            mgaudit("run", "--quiet", "--dataset", "npz:a.npz"), "a.npz", header[:20]
        )


def test_a_run_folder_that_is_damaged_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a"), fake_result(study()), [arrays()])
    write(Path("b"), fake_result(study()), [arrays()])
    kept = {name: (Path("a") / name).read_bytes() for name in ("result.json", "arrays.npz")}
    one_study = json.loads(kept["result.json"])
    one_study["studies"][0]["arms"] = []
    no_metric = json.loads(kept["result.json"])
    no_metric["studies"][0]["arms"][0]["attacks"][0]["metrics"] = {}
    far = json.loads(kept["result.json"])
    far["studies"][0]["arms"][0]["attacks"][0]["targets"] = [10**9] * 6
    buffer = io.BytesIO()
    np.savez(buffer, **{"study0/membership": np.array([object()])})  # type: ignore[arg-type]
    damages = [
        ("result.json", b"[" * 100_000),
        ("result.json", b'{"schema_version": ' + b"9" * 5000 + b"}"),
        ("result.json", kept["result.json"][:3000]),
        ("result.json", json.dumps(one_study).encode()),
        ("result.json", json.dumps(no_metric).encode()),
        ("result.json", json.dumps(far).encode()),
        ("arrays.npz", kept["arrays.npz"][:500]),
        ("arrays.npz", buffer.getvalue()),
        ("reproduction.json", b"[" * 100_000),
    ]
    for name, content in damages:
        (Path("a") / name).write_bytes(content)
        commands = [("runs", "show", "a"), ("report", "a")] + (
            [("runs", "compare", "a", "b")] if name in kept else []
        )
        for command in commands:
            assert_is_a_mistake_in_one_line(mgaudit(*command), "a/", (command, name, content[:40]))
        assert mgaudit("runs", "--runs", ".").exit_code == 0
        (Path("a") / name).unlink()
        for whole, before in kept.items():
            (Path("a") / whole).write_bytes(before)
    assert sorted(path.name for path in Path("a").iterdir()) == sorted(kept)


def test_a_cache_folder_that_is_damaged_is_one_line(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own_cache.mkdir(parents=True, exist_ok=True)
    for name in ("ensembles", "attacks", "datasets"):
        (own_cache / name).write_text("")
        result = mgaudit("run", *SMALL, "--quiet")
        assert_is_a_mistake_in_one_line(result, f"the file {own_cache / name}", name)
        (own_cache / name).unlink()


@pytest.mark.parametrize(
    ("broken", "error", "code", "line"),
    [
        ("mgaudit.study.plan.plan_study", KeyboardInterrupt(), 130, "interrupted"),
        (
            "mgaudit.study.study.run_study",
            KeyboardInterrupt(),
            130,
            "interrupted; the models trained so far are kept",
        ),
        (
            "mgaudit.study.study.run_study",
            UsageError("kappa", "must be >= 0", "-1"),
            2,
            "error: kappa must be >= 0",
        ),
    ],
)
def test_an_interruption_keeps_the_run_folder_and_a_late_mistake_does_not(
    broken: str,
    error: BaseException,
    code: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(broken, fail)
    result = mgaudit("run", *SMALL, "--quiet")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
    left = list(tmp_path.glob("runs/*/*.toml"))  # an interrupted run keeps its settings
    assert bool(left) == (code == 130 and "kept" in line)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("logits"),
        MemoryError(),
        RecursionError("too deep"),
        TypeError("no"),
        AssertionError(),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("arguments", "broken"),
    [
        (["run", *SMALL, "--quiet"], "mgaudit.study.plan.plan_study"),
        (["run", *SMALL, "--quiet"], "mgaudit.study.study.run_study"),
        (["runs"], "mgaudit.storage.run_list.listed_runs"),
        (["list", "studies"], "mgaudit.cli.list.ready_studies"),
    ],
    ids=["planning", "running", "runs", "list"],
)
def test_an_unexpected_error_is_one_line_and_a_log_with_the_traceback(
    arguments: list[str],
    broken: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(broken, fail)
    result = mgaudit(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    words = "the memory is full" if isinstance(error, MemoryError) else type(error).__name__
    assert words in result.stderr
    if isinstance(error, MemoryError) and "failed" not in result.stderr:
        assert "details" not in result.stderr  # it says what to change; only a run has a log
        return
    log = re.search(r"see (\S+) for details", result.stderr)
    assert log is not None
    lines = Path(log[1]).read_text().splitlines()
    assert any(line.startswith("Traceback") for line in lines)
    assert any(line.startswith(type(error).__name__) for line in lines)


def test_an_error_whose_log_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mgaudit.study.study.run_study", full)
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_log", full)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    result = mgaudit("run", *SMALL, "--quiet")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "No space left on device, in the run directory (--out) runs/" in result.stderr
    assert "the log with the details cannot be written (No space left on device)" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mgaudit", "list", "studies"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "stdout" in done.stderr


def test_listing_studies_runs_no_code_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("from pathlib import Path\nPath('ran').touch()\nclass Thing: ...\n")
    Path("studies").mkdir()
    Path("studies/x.toml").write_text('title = "Mine"\nschemes = ["none", "evil:Thing"]\n')
    listed = {
        entry["name"]: entry
        for entry in json.loads(mgaudit("list", "studies", "--json").stdout)["studies"]
    }
    assert listed["x"]["options"] == "2"
    assert listed["x"]["summary"] == "Mine"
    assert {"quick", "kappa-sweep"} <= listed.keys()
    assert mgaudit("list").exit_code == 0
    assert not Path("ran").exists()


def defaults_in_help(command: str) -> dict[str, str]:
    """Returns the default that the help text of each option states."""
    options = app_commands()[command].params
    stated = {
        option.name: re.search(r"default: ([^);]*)\)", option.help or "") for option in options
    }
    return {name: match[1] for name, match in stated.items() if match}


def app_commands() -> Any:
    from typer.main import get_command

    return get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("run", StudySettings),
        ("audit-dp", DPAuditSettings),
        ("audit-checkpoint", CheckpointSettings),
    ],
)
def test_help_states_the_defaults_of_the_settings(command: str, settings: Any) -> None:
    stated = defaults_in_help(command)
    for name, field in settings.model_fields.items():
        if name in stated and field.default is not None:
            is_switch = isinstance(field.default, bool)
            shown = ("yes" if field.default else "no") if is_switch else str(field.default)
            assert stated[name] == shown, name


def test_every_training_setting_with_help_is_an_option_with_its_range_and_default() -> None:
    for command, left_out in (
        ("run", set()),
        ("compare", set()),
        ("audit-checkpoint", set()),
        ("audit-dp", {"clients", "local_steps"}),
    ):
        options = {option.name: option for option in app_commands()[command].params}
        for field in fields(Training):
            described = any(isinstance(part, Help) for part in get_args(field.type))
            assert (field.name in options) == (described and field.name not in left_out), field.name
            if field.name in options and field.default is not None:
                assert f"default: {field.default})" in options[field.name].help


@dataclass(frozen=True)
class Switched:
    """A training setting that is on or off."""

    nesterov: Annotated[bool, Help("Look ahead along the momentum")] = False


def test_a_training_setting_that_is_on_or_off_is_a_switch() -> None:
    argument = training_argument(fields(Switched)[0])
    assert argument is not None
    switch = option(argument)
    assert switch.annotation == bool | None
    assert switch.default.help == "Look ahead along the momentum (default: no)."
