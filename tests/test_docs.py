"""Every command in the README and in docs/ runs as printed, on small data."""

import re
import shlex
import shutil
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from PIL import Image
from typer.testing import CliRunner

import mgaudit
import mgaudit.testing
from mgaudit import __version__
from mgaudit.attacks.intervals import resample_counts
from mgaudit.cli.app import app
from mgaudit.conditions import RANGES, parse_condition
from mgaudit.papers.paper import PaperFigure
from mgaudit.papers.reproduction import _not_run
from mgaudit.reports.reproduction import FigureResult
from mgaudit.reports.results import settings_toml
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.study_files import study_values
from mgaudit.storage.run_folder import RunFolder
from mgaudit.targets import MLP
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.tuning.evaluate import Evaluated, Evaluation
from tests.docs.pages import DOCS, PAGES, ROOT, commands, files

SMALL = [
    "--models",
    "3",
    "--epochs",
    "1",
    "--examples",
    "120",
    "--batch-size",
    "16",
    "--jobs",
    "1",
    "--out",
    "runs",
]

SHADOWS = ["--models", "3", "--epochs", "1", "--stack", "1", "--jobs", "1", "--out", "runs"]
CANARIES = ["--canaries", "60", "--epochs", "1", "--jobs", "1", "--out", "runs"]


def documented_commands() -> list[str]:
    return sorted({command for page in PAGES for command in commands(page)})


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all commands: many of them train the same models."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A folder with all files of the documented commands, such as TABLE.csv and networks.py."""
    folder = tmp_path_factory.mktemp("docs")
    for page in PAGES:
        for name, text in files(page).items():
            assert not (folder / name).exists(), f"two pages have a file {name}"
            (folder / name).write_text(text, encoding="utf-8")
    outputs = (folder / "make_outputs.py").read_text(encoding="utf-8")
    (folder / "scores.csv").write_text("score,member\n" + "0.9,yes\n0.2,no\n0.7,yes\n0.3,no\n" * 10)
    draw = np.random.default_rng(0)
    for split, each in (("train", 65), ("test", 5)):
        for name in ("cat", "dog"):
            (folder / "PATH" / split / name).mkdir(parents=True)
            for index in range(each):
                pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "PATH" / split / name / f"{index}.png")
    with (folder / "FILE").open("wb") as file:
        np.savez(
            file,
            x_train=draw.random((130, 4)),
            y_train=np.arange(130) % 2,
            x_test=draw.random((6, 4)),
            y_test=np.arange(6) % 2,
        )
    rows = [
        f"{x:.6f},{y:.6f},{row % 2},{row % 3}" for row, (x, y) in enumerate(draw.random((240, 2)))
    ]
    (folder / "TABLE.csv").write_text("\n".join(["age,height,label,income", *rows]))
    model = MLP((1, 8, 8), 10).state_dict()
    safetensors.torch.save_file(model, folder / "model.safetensors")
    np.save(folder / "members.npy", np.arange(400, 1000))
    (folder / "mydata.py").write_text(
        "import numpy as np\n\ndef patients():\n"
        "    arrays = np.load('FILE')\n    return tuple(arrays[name] for name in arrays.files)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MGAUDIT_CACHE", str(shared_cache))
        few = "\nx, y = x[:100], y[:100]\nmembership ="
        exec(outputs.replace("\nmembership =", few).replace("Classifier(50", "Classifier(3"), {})
        for name, kappa in (("RUN", "0.3"), ("OTHER", "1")):
            patch.setattr(RunFolder, "write_reports", lambda *_: [])
            options = [
                "--target",
                "mlp:hidden=4",
                "--no-dp",
                "--kappa",
                kappa,
                "--stack",
                "1",
                "--quiet",
            ]
            ran = CliRunner().invoke(app, ["run", *SMALL, *options])
            assert ran.exit_code == 0, ran.output
            (run,) = (folder / "runs").iterdir()
            run.rename(folder / name)
    return folder


@pytest.fixture
def workplace(
    made: Path, shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of that folder, which a command may change."""
    monkeypatch.setenv("MGAUDIT_CACHE", str(shared_cache))
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def no_network(*_: object, **__: object) -> None:
    raise OSError("no network in tests")


def unmade(
    paper: object, figure: PaperFigure, settings: object, resources: object, at_once: object
) -> tuple[FigureResult, None]:
    claims = [_not_run(claim, "not in this test") for claim in figure.claims]
    told = {name: getattr(figure, name) for name in ("key", "title", "about", "description")}
    return FigureResult(**told, settings={}, seconds=0.0, data={}, claims=claims), None


SOME_PLAN = PrivacyPlan(1.0, 1.0, 0.1, 100, 60, delta=1e-4, epsilon=8.0)


def evaluated(task: Evaluation) -> Evaluated:
    return Evaluated(task.trial, task.fold_number, task.key, 1 / (2 + task.trial), 0.0)


def smaller(arguments: list[str]) -> list[str]:
    """Returns options that make a documented command short."""
    if "--fit" in arguments:  # trains in its own way
        return ["--models", "3", "--examples", "120", "--jobs", "1"]
    if "--adversary" in arguments:
        own = {"white-box": "--directions", "repeated": "--runs"}
        adversary = arguments[arguments.index("--adversary") + 1]
        return [own[adversary], "20", *CANARIES[2:]]
    extras = {
        "run": SMALL, "compare": SMALL, "audit-dp": CANARIES, "audit-checkpoint": SHADOWS
    }  # fmt: skip
    extra = extras.get(arguments[0], [])
    if any("early-stop" in word for word in arguments):  # it stops after fewer epochs than 10
        return [*without(extra, ["--epochs", "10"]), "--epochs", "10"]
    return extra


def without(arguments: list[str], others: list[str]) -> list[str]:
    """Returns the arguments without the options that the others have, and without their values."""
    kept = list(arguments)
    for option in others[::2]:
        if option in kept:
            place = kept.index(option)
            del kept[place : place + 2]
    return kept


@pytest.mark.parametrize(
    "command", [command for command in documented_commands() if command.startswith("mgaudit")]
)
def test_a_documented_command_runs(
    command: str, workplace: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setattr(
        "mgaudit.study.design.resample_counts", partial(resample_counts, resamples=20)
    )
    _, *arguments = shlex.split(command)
    if arguments != ["run"]:  # one run draws its figures, and stands for all
        request.getfixturevalue("blank_figures")
    without_reports = arguments[0] in ("compare", "audit-checkpoint", "score")
    if without_reports or (arguments[0] == "run" and len(arguments) > 1):
        monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])  # takes longer than the run
    # The trainings of a search take minutes: the race is run with made-up accuracies.
    monkeypatch.setattr("mgaudit.tuning.search.evaluate", evaluated)
    monkeypatch.setattr("mgaudit.tuning.tune.privacy_plan", lambda *_: SOME_PLAN)
    if "studies/" in command:  # minutes of training: the study is checked and two of its arms run
        (place,) = [argument for argument in arguments if argument.startswith("studies/")]
        values = grid_settings(study_values(ROOT / place)).as_dict()
        assert len(values["schemes"]) > 2
        few = {**values, "schemes": values["schemes"][:2], "notes": {}}
        (workplace / "few.toml").write_text(settings_toml(few))
        arguments = ["few.toml" if argument == place else argument for argument in arguments]
    if arguments[0] == "reproduce":  # minutes of training: the figures are found, and none is made
        monkeypatch.setattr("mgaudit.papers.reproduction._reproduce_figure", unmade)
        monkeypatch.setattr("mgaudit.papers.reproduction.measured_at_once", lambda *_: {})
        monkeypatch.setattr("mgaudit.papers.reproduction.check_images", lambda _: None)
    extra = smaller(arguments)
    arguments = without(arguments, extra)
    if arguments[:2] == ["data", "fetch"]:
        monkeypatch.setattr("pooch.HTTPDownloader.__call__", no_network)
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "put it at" in result.stderr
        return
    if arguments[:2] == ["runs", "remove"]:  # the runs of these tests lie in the current folder
        extra = ["--runs", "."]
    result = CliRunner().invoke(app, [*arguments, *extra])
    # Models this small meet some of the conditions, and leave others.
    assert result.exit_code in ([0, 3] if "--fail-if" in arguments else [0]), result.output
    if "--dry-run" in arguments:
        assert not (workplace / "runs").exists() or not list((workplace / "runs").iterdir())
    elif arguments[0] == "reproduce":
        assert list((workplace / "runs").glob("*/reproduction.json"))
    elif arguments[0] in ("run", "compare", "audit-checkpoint", "score"):
        assert list((workplace / "runs").glob("*/result.json"))
    if arguments == ["run"]:
        assert list((workplace / "runs").glob("*/report.pdf"))


def test_documented_conditions_are_conditions() -> None:
    pages = [page for page in PAGES if page.name != "errors.md"]  # it shows wrong ones
    texts = [page.read_text(encoding="utf-8") for page in pages]
    named = [text for page in texts for text in re.findall(r'--fail-if "([^"]+)"', page)]
    (section,) = (text for text in texts if "| condition |" in text)
    named += re.findall(
        r"^\| `(.*?)` \|", section.partition("| condition |")[2], flags=re.MULTILINE
    )
    assert len(named) > 8
    for text in named:
        parse_condition(text)
    (metrics,) = re.findall(r"^\| metric \| (.*) \|$", section, flags=re.MULTILINE)
    assert set(re.findall(r"`([a-z][\w@.]*)`", metrics)) == RANGES.keys()


def test_the_study_of_the_page_on_sweeps_is_one() -> None:
    text = files(DOCS / "howto" / "sweep.md")["study.toml"]
    grid = grid_settings(tomllib.loads(text))
    assert len(grid.cells()) == 4
    assert len(grid.schemes) == 5


def test_what_is_no_mgaudit_command_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    others = [command for command in documented_commands() if not command.startswith("mgaudit")]
    made = [command.split()[1] for command in others if command.startswith("make ")]
    assert {"demo", "test"} <= set(made) <= targets
    benchmarks = [
        command.split()[1] for command in others if command.startswith("python benchmarks/")
    ]
    assert all((ROOT / name).exists() for name in benchmarks)
    assert len(made) + len(benchmarks) == len(others)


def test_the_version_is_one_everywhere() -> None:
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {__version__}\n" in citation
    (date,) = re.findall(r"^date-released: (.*)$", citation, flags=re.MULTILINE)
    assert f"## [{__version__}] - {date}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^::: mgaudit\.(\w+)$", page, flags=re.MULTILINE))
    assert described == {*mgaudit.__all__, "testing"} - {"__version__"}
    (listed,) = re.findall(r"members: \[(.*)\]", page)
    assert listed.split(", ") == mgaudit.testing.__all__


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages <= set(re.findall(r"[\w./-]+\.md", navigation))


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
