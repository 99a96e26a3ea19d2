"""The command line as a user meets it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from mgaudit.attacks import ATTACKS
from mgaudit.cli.app import app
from mgaudit.reports.results import read_result
from mgaudit.storage.run_folder import RunFolder
from mgaudit.targets import NETWORKS, QUERIES, SCHEMES
from mgaudit.targets.datasets import DATASETS

SMALL = [
    "--target",
    "mlp:hidden=16",
    "--examples",
    "200",
    "--models",
    "4",
    "--epochs",
    "3",
    "--jobs",
    "1",
]
FAST = [*SMALL, "--no-dp"]
DATASET_NAMES = [
    f"{reader.name}:PATH" if reader.takes_path else reader.name for reader in DATASETS.values()
]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def listen_to_ctrl_c() -> None:
    """Restores SIGINT, which a shell, also that of CI, ignores for jobs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# The imports that it must do without take longer than a small run.
WITHOUT_REPORTS = """
import sys
from mgaudit.storage.run_folder import RunFolder
RunFolder.write_reports = lambda *_: []
from mgaudit.cli.app import app
app(standalone_mode=False)
loaded = {"torch._dynamo", "scipy.stats", "sklearn", "pandas"} & set(sys.modules)
assert not loaded, loaded
"""


def process(folder: Path, *arguments: str, reports: bool = True) -> subprocess.Popen[str]:
    """Starts mgaudit in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    program = ["-m", "mgaudit"] if reports else ["-c", WITHOUT_REPORTS]
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=listen_to_ctrl_c,
    )


def run_folder(out: Path) -> Path:
    (found,) = out.iterdir()
    return found


@pytest.fixture
def reports_are_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a run computes and prints: a report takes longer than a small run."""
    monkeypatch.setattr(
        RunFolder, "write_reports", lambda folder, formats: [folder.path / "report.html"]
    )


@pytest.fixture(scope="module")
def json_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What a run with `--json` printed, and its folder."""
    folder = tmp_path_factory.mktemp("json-run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        result = mgaudit("run", *FAST, "--no-plain", "--json", "--out", str(folder / "runs"))
    assert result.exit_code == 0, result.output
    return result, run_folder(folder / "runs")


@pytest.mark.usefixtures("blank_figures")
def test_a_run_writes_what_it_promises(tmp_path: Path) -> None:
    result = mgaudit(
        "run", *SMALL, "--kappa", "0.5", "--epsilon", "4", "--out", str(tmp_path / "runs")
    )
    assert result.exit_code == 0, result.output
    folder = run_folder(tmp_path / "runs")
    assert {path.name for path in folder.iterdir()} == {
        "settings.toml",
        "result.json",
        "arrays.npz",
        "checksums.sha256",
        "report.html",
        "report.pdf",
        "log.txt",
        ".mgaudit-run",
    }
    (study,) = read_result(folder)[0].studies
    assert [arm.key for arm in study.arms] == [
        "none",
        "gaussian-mask:kappa=0.5",
        "dp-sgd:epsilon=4",
    ]
    json.loads(
        (folder / "result.json").read_text(),
        parse_constant=lambda name: pytest.fail(f"{name} in JSON"),
    )
    assert "with gaussian-mask (kappa=0.5)" in " ".join(result.stdout.split())
    assert str(folder / "report.html") in result.stdout.replace("\n", "")
    assert "gaussian-mask (kappa=0.5): 4 of 4 models" in result.stderr
    assert "4 of 4 models" in (folder / "log.txt").read_text()


@pytest.mark.usefixtures("reports_are_not_rendered")
def test_a_run_is_reproduced_from_its_settings_file(tmp_path: Path) -> None:
    assert (
        mgaudit(
            "run", *FAST, "--out", str(tmp_path / "a"), "--attack", "loss", "--seed", "7"
        ).exit_code
        == 0
    )
    first = run_folder(tmp_path / "a")
    assert (
        mgaudit(
            "run", "--settings", str(first / "settings.toml"), "--out", str(tmp_path / "b")
        ).exit_code
        == 0
    )
    again = run_folder(tmp_path / "b")
    ours, theirs = (json.loads((folder / "result.json").read_text()) for folder in (first, again))
    assert ours["studies"][0].pop("times")["models_reused"] == {
        "none": 0,
        "gaussian-mask:kappa=0.3": 0,
    }
    assert theirs["studies"][0].pop("times")["models_reused"] == {
        "none": 4,
        "gaussian-mask:kappa=0.3": 4,
    }
    assert ours == theirs
    changed = mgaudit(
        "run",
        "--settings",
        str(first / "settings.toml"),
        "--out",
        str(tmp_path / "c"),
        "--kappa",
        "1",
    )
    assert changed.exit_code == 0, changed.output
    (study,) = read_result(run_folder(tmp_path / "c"))[0].studies
    assert [arm.key for arm in study.arms] == ["none", "gaussian-mask:kappa=1"]
    assert study.settings["seed"] == 7


def test_json_is_all_that_stdout_holds(json_run: tuple[Any, Path]) -> None:
    result, folder = json_run
    printed = json.loads(result.stdout)
    assert printed["run"] == str(folder)
    assert printed["result"] == json.loads((folder / "result.json").read_text())
    assert [arm["key"] for arm in printed["result"]["studies"][0]["arms"]] == [
        "gaussian-mask:kappa=0.3"
    ]


@pytest.mark.usefixtures("reports_are_not_rendered")
def test_quiet_is_quiet(tmp_path: Path) -> None:
    result = mgaudit("run", *FAST, "--quiet", "--out", str(tmp_path / "runs"))
    assert (result.exit_code, result.output) == (0, "")


def test_a_report_is_rendered_again_without_torch(
    tmp_path: Path, json_run: tuple[Any, Path]
) -> None:
    folder = shutil.copytree(json_run[1], tmp_path / "runs" / json_run[1].name)
    html = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    code = (
        "import sys\nfrom mgaudit.cli.app import app\n"
        f"app(['report', {folder.name!r}, '--runs', {str(tmp_path / 'runs')!r}], "
        "standalone_mode=False)\n"
        "assert not {'torch', 'opacus', 'dp_accounting', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").read_bytes() == html
    other = mgaudit("report", str(folder), "--format", "pdf", "--out", str(tmp_path / "elsewhere"))
    assert other.exit_code == 0
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["report.pdf"]


@pytest.mark.slow
def test_two_runs_of_one_command_at_once_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    both = [
        process(tmp_path, "run", *FAST, "--quiet", "--out", out, reports=False)
        for out in ("a", "b")
    ]
    for running in both:
        _, errors = running.communicate(timeout=120)
        assert running.returncode == 0, errors
    results = [
        json.loads((run_folder(tmp_path / out) / "result.json").read_text()) for out in ("a", "b")
    ]
    reused = [
        sum(result["studies"][0].pop("times")["models_reused"].values()) for result in results
    ]
    assert results[0] == results[1]
    assert sum(reused) == 8


@pytest.mark.parametrize("kind", ["targets", "schemes", "attacks", "queries", "datasets"])
def test_list_names_what_there_is(kind: str) -> None:
    listed = json.loads(mgaudit("list", kind, "--json").stdout)
    assert list(listed) == [kind]
    names = {entry["name"] for entry in listed[kind]}
    assert (
        names
        == {
            "targets": {*NETWORKS, "module:Class"},
            "schemes": set(SCHEMES),
            "attacks": set(ATTACKS),
            "queries": set(QUERIES),
            "datasets": {*DATASET_NAMES, "module:function"},
        }[kind]
    )
    shown = mgaudit("list", kind).stdout
    assert all(name in shown for name in names)
    assert all(len(entry["summary"]) > 20 for entry in listed[kind])


def test_attacks_are_listed_with_what_they_need_what_they_cost_and_where_they_come_from() -> None:
    listed = {
        entry["name"]: entry
        for entry in json.loads(mgaudit("list", "attacks", "--json").stdout)["attacks"]
    }
    assert listed["lira"]["needs"] == "shadows"
    assert listed["quantile"]["needs"] == "features, population"
    assert listed["gradient-norm"]["needs"] == "gradient norm"
    assert listed["loss"]["needs"] == "nothing more"
    shown = " ".join(mgaudit("list", "attacks").stdout.split())
    for entry in listed.values():
        assert entry["cost"]
        assert entry["source"].split(",")[0].split()[0] in shown
    assert "cost: shadow models" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kappa", "-1"], "kappa must be a number >= 0, got -1"),
        (["--kappa", "nan"], "kappa must be a finite number >= 0, got nan"),
        (
            ["--target", "vit"],
            f"target must be one of {', '.join(NETWORKS)}, module:Class of your own, got 'vit'",
        ),
        (
            ["--scheme", "mask"],
            f"scheme must be one of {', '.join(SCHEMES)}, module:Class of your own, got 'mask'",
        ),
        (
            ["--scheme", "gaussian-mask"],
            "scheme.gaussian-mask needs kappa; write gaussian-mask:kappa=VALUE (>= 0)",
        ),
        (
            ["--scheme", "weight-noise:sigma=1,layers=2"],
            "scheme.weight-noise.layers is not an option of 'weight-noise', which takes "
            "sigma (>= 0), layerwise, "
            "order (cyclic or random), stop_epoch (>= 0)",
        ),
        (["--scheme", "dropout:rate=1"], "rate must be a finite number >= 0 and < 1, got 1"),
        (["--scheme", "gaussian-mask:0.1+none"], "none cannot be composed with another scheme"),
        (["--scheme", "dropout:0.1+dropout:0.2"], "dropout cannot be composed with itself"),
        (
            ["--scheme", "gaussian-mask:0.1+dropout:0.1,fixed=true"],
            "dropout with fixed=true cannot come after gaussian-mask",
        ),
        (
            ["--scheme", "noise-nodes:sigma=1,layer=9"],
            "layer must be the number of a layer of the target, 0..3, got 9",
        ),
        (["--stack", "0"], "stack must be 'auto' or a whole number from 1 to 4096, got 0"),
        (["--stack", "17"], "stack must be <= 16, the models of an arm, got 17; use --stack auto"),
        (["--stack", "many"], "stack must be 'auto' or a whole number from 1 to 4096, got 'many'"),
        (["--augment", "cutout"], "augment must be 'none', 'flips' or 'crops', got 'cutout'"),
        (
            ["--precision", "bf16"],
            (
                "precision must be float32 on device cpu, others are for a GPU, got 'bf16'; use "
                "float32"
            ),
        ),
        (
            ["--dataset", "synthetic", "--target", "mlp", "--augment", "flips"],
            "augment flips needs images (channels, height, width), got examples of shape",
        ),
        (["--attack", "mia"], "attacks[0] must be one of stacked, lira, rmia, bavaria"),
        (
            ["--dataset", "cifar"],
            (
                f"dataset must be one of {', '.join(DATASET_NAMES)} or module:function of your "
                "own, got 'cifar'"
            ),
        ),
        (["--dataset", "cifar10"], "dataset cifar10 has not been fetched"),
        (
            ["--dataset", "csv:nowhere.csv#y"],
            "/nowhere.csv'; use --dataset csv:PATH or csv:PATH#COLUMN",
        ),
        (
            ["--dataset", "synthetic:depth=3"],
            (
                "dataset.synthetic.depth is not an option of 'synthetic', which takes kind "
                "(clusters or teacher), features"
            ),
        ),
        (["--dataset", "synthetic"], "use --target mlp for feature vectors"),
        (["--dataset", "no_such_module:data"], "cannot import the module 'no_such_module'"),
        (["--dataset", "folder:/nowhere"], "got no folder /nowhere/train"),
        (["--queries", "stare"], f"queries must be one of {', '.join(QUERIES)}, got 'stare'"),
        (["--queries", "crops"], "queries.crops needs count; write crops:count=VALUE"),
        (["--queries", "mask:1"], "queries.mask.count must be >= 2, got 1"),
        (["--attack", "label-only"], "the attack label-only needs several queries of each example"),
        (["--models", "2"], "models must be a whole number >= 3 and <= 100000, got 2"),
        (
            ["--examples", "1199"],
            "examples must be between 1 and 1198, the number of examples of digits, got 1199",
        ),
        (
            ["--delta", "0.002"],
            "delta must be < 1/n = 0.00167 for n = 599 expected training examples, got 0.002",
        ),
        (["--epsilon", "0"], "epsilon must be a finite number > 0 and <= 50, got 0"),
        (["--device", "cuda"], "torch finds no GPU"),
        (["--kappa", "1", "--scheme", "none"], "kappa and scheme both name the noise to audit"),
        (["--no-dp", "--epsilon", "1"], "--epsilon and --delta are settings of the DP-SGD arm"),
        (
            ["--settings", "/nowhere.toml"],
            "the settings file /nowhere.toml cannot be read: No such file",
        ),
        (
            ["--examples", "60"],
            "batch_size must be <= 30, the expected number of training examples, for DP-SGD",
        ),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = mgaudit("run", *arguments, "--quiet", "--out", str(tmp_path / "runs"))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: (root / "train" / "a" / "0.png").write_bytes(b"nothing"),
            "the image {root}/train/a/0",
        ),
        (
            lambda root: [path.unlink() for path in (root / "train" / "a").iterdir()],
            "no image in {root}/train/a",
        ),
        (lambda root: (root / "test" / "b").rename(root / "b"), "got no folder {root}/test/b"),
        (lambda root: (root / "test").rename(root / "other"), "got no folder {root}/test"),
    ],
    ids=["unreadable", "empty", "class missing", "no test"],
)
def test_a_folder_that_is_not_as_it_should_be_is_named(
    tmp_path: Path, spoil: Any, message: str
) -> None:
    root = tmp_path / "data"
    for split in ("train", "test"):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(root / split / name / "0.png")
    spoil(root)
    result = mgaudit(
        "run", "--dataset", f"folder:{root}", "--quiet", "--out", str(tmp_path / "runs")
    )
    assert result.exit_code == 2, result.output
    assert message.format(root=root) in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("place", ["file/inside", "/proc/mgaudit-test"])
def test_an_out_folder_that_cannot_be_written_is_known_before_any_training(
    tmp_path: Path, place: str, own_cache: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = mgaudit("run", *FAST, "--quiet", "--out", str(tmp_path / place))
    assert result.exit_code == 2
    rule = "must be a writable folder, got" if place.startswith("file") else "must have"
    assert result.stderr.startswith("error: --out")
    assert rule in result.stderr
    assert not (own_cache / "ensembles").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_out_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o555)
    result = mgaudit("run", *FAST, "--quiet", "--out", str(tmp_path / "runs"))
    assert result.exit_code == 2
    assert "(Permission denied)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "RUN must be the path of a run directory or, in 'runs', its name"),
        (
            ["nowhere", "--format", "docx"],
            "format must be one of html, pdf, latex, csv, got 'docx'",
        ),
    ],
)
def test_a_report_of_nothing_is_refused(arguments: list[str], message: str) -> None:
    result = mgaudit("report", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_audit_that_fails_says_so_and_leaves_its_story(tmp_path: Path) -> None:
    result = mgaudit(
        "run", *FAST, "--quiet", "--learning-rate", "1e30", "--out", str(tmp_path / "runs")
    )
    assert result.exit_code == 1
    assert "the audit failed: in every arm fewer than 3 of 4 models converged" in " ".join(
        result.stderr.split()
    )
    folder = run_folder(tmp_path / "runs")
    assert {path.name for path in folder.iterdir()} == {
        ".mgaudit-run",
        "log.txt",
        "settings.toml",
    }
    assert "RuntimeError: in every arm" in (folder / "log.txt").read_text()


def test_the_version_is_told() -> None:
    assert mgaudit("--version").stdout.startswith("mgaudit 0.")


# Attacks take less time than training, which is to be interrupted.
SLOW = [
    "--target",
    "cnn",
    "--models",
    "4",
    "--examples",
    "200",
    "--epochs",
    "8",
    "--no-dp",
    "--quiet",
]
SLOW += ["--attack", "loss"]


def wait_for_models(cache: Path, models: int, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list(cache.glob("ensembles/*/model-*.safetensors"))) < models:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


JOBS = [pytest.param("1", marks=pytest.mark.slow), "2"]


@pytest.mark.usefixtures("reports_are_not_rendered")
@pytest.mark.parametrize("jobs", JOBS)
def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    running = process(tmp_path, "run", *SLOW, "--jobs", jobs)
    wait_for_models(own_cache, 3, running)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    kept = {
        path: path.stat().st_mtime_ns for path in own_cache.glob("ensembles/*/model-*.safetensors")
    }
    assert 3 <= len(kept) < 8
    assert not list(tmp_path.glob("runs/*/result.json"))

    resumed = mgaudit("run", *SLOW, "--jobs", "1", "--out", str(tmp_path / "runs"))
    assert resumed.exit_code == 0, resumed.output
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert not list(own_cache.rglob("*.partial"))
    result = json.loads((run_folder(tmp_path / "runs") / "result.json").read_text())
    assert sum(result["studies"][0].pop("times")["models_reused"].values()) == len(kept)

    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "other-cache"))
    whole = mgaudit("run", *SLOW, "--jobs", "1", "--out", str(tmp_path / "whole"))
    assert whole.exit_code == 0, whole.output
    expected = json.loads((run_folder(tmp_path / "whole") / "result.json").read_text())
    expected["studies"][0].pop("times")
    assert result == expected


@pytest.mark.slow
@pytest.mark.parametrize("jobs", JOBS)
def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(
    tmp_path: Path, own_cache: Path, jobs: str
) -> None:
    running = process(tmp_path, "run", *SLOW, "--jobs", jobs)
    wait_for_models(own_cache, 2, running)
    os.killpg(running.pid, signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert printed == ""
    assert "Traceback" not in errors
    assert "interrupted; the models trained so far are kept" in " ".join(errors.split())
    (folder,) = tmp_path.glob("runs/*")
    assert (folder / "log.txt").read_text().splitlines()[-1] == "interrupted"
    assert not list(folder.glob("result.json"))
    assert not list(own_cache.rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [0, 1])
def test_ctrl_c_of_one_of_two_identical_runs_leaves_the_other_its_folder(
    tmp_path: Path, own_cache: Path, interrupted: int
) -> None:
    slower = ["30" if word == "8" else word for word in SLOW]  # epochs
    both = [process(tmp_path, "run", *slower, "--jobs", "1") for _ in range(2)]
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/*/.in-use-*"))) < 2:
        assert all(running.poll() is None for running in both)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    wait_for_models(own_cache, 1, both[interrupted])
    os.killpg(both[interrupted].pid, signal.SIGINT)
    _, errors = both[interrupted].communicate(timeout=60)
    assert both[interrupted].returncode == 130, errors
    _, errors = both[1 - interrupted].communicate(timeout=120)
    assert both[1 - interrupted].returncode == 0, errors
    assert {path.name for path in run_folder(tmp_path / "runs").iterdir()} == {
        ".mgaudit-run",
        "settings.toml",
        "result.json",
        "arrays.npz",
        "checksums.sha256",
        "report.html",
        "report.pdf",
        "log.txt",
    }
