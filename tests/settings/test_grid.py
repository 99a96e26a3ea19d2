"""The study file: what it means, and one clear line for each thing that may be wrong with it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mgaudit.reports.results import settings_toml
from mgaudit.settings.grid import GridSettings, edited_grid, grid_settings
from mgaudit.settings.schemes import SchemeChoice, scheme_choice
from mgaudit.settings.study_files import ready_studies, study_values
from mgaudit.settings.study_settings import study_settings
from mgaudit.settings.toml_file import read_settings
from mgaudit.study.comparison import plan_comparison

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.toml"))

PLAIN = '[[arms]]\nscheme = "none"\n'
MASK = f'{PLAIN}[[arms]]\nscheme = "gaussian-mask"\n'


def words(notes: dict[SchemeChoice, str]) -> dict[str, str]:
    return {scheme.text: note for scheme, note in notes.items()}


def grid(text: str) -> GridSettings:
    return grid_settings(tomllib.loads(text))


def test_a_grid_is_the_product_of_all_its_lists() -> None:
    settings = grid(
        'datasets = ["digits", "synthetic"]\ntargets = ["mlp", "mlp:hidden=8"]\nseeds = [3, 1]\n'
        + PLAIN
    )
    cells = [(str(cell.dataset), str(cell.target), cell.seed) for cell in settings.cells()]
    assert cells == [
        (dataset, target, seed)
        for dataset in ("digits", "synthetic")
        for target in ("mlp", "mlp:hidden=8")
        for seed in (3, 1)
    ]


@pytest.mark.parametrize(
    ("arms", "schemes"),
    [
        (
            MASK + "kappa = [0, 0.30, 1]",
            ["none", *(f"gaussian-mask:kappa={kappa}" for kappa in (0, 0.3, 1))],
        ),
        (
            MASK + "kappa = [0.1, 1]\nfixed = [false, true]",
            [
                "none",
                *(
                    f"gaussian-mask:kappa={kappa}{fixed}"
                    for kappa in (0.1, 1)
                    for fixed in ("", ",fixed=true")
                ),
            ],
        ),
        (
            '[[arms]]\nscheme = "gaussian-mask:0.3+dp-sgd:8"',
            ["gaussian-mask:kappa=0.3+dp-sgd:epsilon=8"],
        ),
        (
            '[[arms]]\nscheme = "dp-sgd:delta=1e-5"\nepsilon = [1, 2]',
            ["dp-sgd:epsilon=1,delta=1e-05", "dp-sgd:epsilon=2,delta=1e-05"],
        ),
        (
            '[[arms]]\nscheme = ["label-noise", "dropout"]\nrate = 0.1',
            ["label-noise:rate=0.1", "dropout:rate=0.1"],
        ),
        ('schemes = ["none", "dropout:0.10"]', ["none", "dropout:rate=0.1"]),
    ],
)
def test_a_list_in_an_arm_is_one_arm_for_each_value(arms: str, schemes: list[str]) -> None:
    assert [scheme.text for scheme in grid(arms).schemes] == schemes


def test_an_option_goes_to_a_scheme_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noises.py").write_text(
        "from dataclasses import dataclass\nfrom mgaudit.targets.schemes import Scheme\n\n"
        "@dataclass(frozen=True)\nclass Hum(Scheme):\n    pitch: float = 1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    assert grid('[[arms]]\nscheme = "noises:Hum"\npitch = [2, 3]').schemes == tuple(
        map(scheme_choice, ("noises:Hum:pitch=2", "noises:Hum:pitch=3"))
    )


def test_one_of_a_kind_may_be_given_without_a_list() -> None:
    assert grid(f'dataset = "digits"\ntarget = "mlp"\nseed = 4\n{PLAIN}') == grid(
        f'datasets = ["digits"]\ntargets = ["mlp"]\nseeds = [4]\n{PLAIN}'
    )


def test_a_study_of_one_is_what_run_makes_of_the_same_settings() -> None:
    values = {
        "schemes": ["none", "gaussian-mask:kappa=0.3"],
        "examples": 100,
        "training": {"epochs": 2},
    }
    assert grid_settings(values).cells() == [study_settings(values)]
    assert grid_settings(study_settings(values).as_dict()).cells() == [study_settings(values)]


def test_words_on_an_arm_reach_every_study() -> None:
    settings = grid(f'seeds = [0, 1]\n{MASK}kappa = [1, 2]\nnote = "loud"\n')
    for cell in settings.cells():
        assert words(cell.notes) == {
            "gaussian-mask:kappa=1": "loud",
            "gaussian-mask:kappa=2": "loud",
        }
    noted = grid('schemes = ["none", "dropout:0.1"]\n[notes]\n"dropout:rate=0.10" = "x"')
    assert words(noted.notes) == {"dropout:rate=0.1": "x"}


@pytest.mark.parametrize(
    "text",
    [
        MASK + 'kappa = [0, 0.1]\nnote = "words"',
        'title = "T"\nnote = "N"\nseeds = [0, 1]\ntargets = ["mlp", "cnn"]\nexamples = 99\n'
        f"models = 5\n{PLAIN}"
        "[training]\nepochs = 2\nlearning_rate = 0.5\n[stacks]\n'mlp on digits' = 4\n",
    ],
)
def test_a_grid_survives_the_way_to_toml_and_back(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(settings_toml(grid(text).as_dict()), encoding="utf-8")
    assert grid_settings(read_settings(path)) == grid(text)


def test_stack_sizes_go_to_the_studies_that_they_are_of() -> None:
    settings = grid(f"targets = ['mlp', 'cnn']\nstack = 2\n{PLAIN}[stacks]\n'mlp on digits' = 4\n")
    assert [cell.stack for cell in settings.cells()] == [4, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MASK + "kappa = [0.1, -1]", "arms[1].kappa must be a finite number >= 0, got -1"),
        (MASK + "kappa = nan", "arms[1].kappa must be a finite number >= 0, got nan"),
        (MASK + 'kappa = "much"', "arms[1].kappa must be a valid number"),
        (MASK + "kappa = true", "arms[1].kappa must be a valid number"),
        (
            MASK + "kappa = {low = 1}",
            "arms[1].kappa must be a value or a list of values, got {'low': 1}",
        ),
        (MASK + "kappa = [[1]]", "arms[1].kappa must be a value or a list of values, got [1]"),
        (
            MASK + 'kappa = "1,fixed=true"',
            "arms[1].kappa must be one value or a list of values, got '1,fixed=true'",
        ),
        (MASK + "kappa = []", "arms[1].kappa must not be empty, or there is no such arm"),
        (
            MASK + "kapa = 1",
            "arms[1].kapa is not an option of 'gaussian-mask', which takes kappa (>= 0), fixed; "
            "did you mean 'kappa'?",
        ),
        (
            MASK + 'kappa = 1\nnotes = "x"',
            "arms[1].notes is not an option of 'gaussian-mask', which takes "
            "kappa (>= 0), fixed; did you mean 'note'?",
        ),
        (MASK + "kappa = 1\nnote = 3", "arms[1].note must be text, got 3"),
        (MASK, "arms[1] needs kappa; write gaussian-mask:kappa=VALUE (>= 0)"),
        (
            PLAIN + '[[arms]]\nscheme = "gausian-mask"',
            "arms[1].scheme must be one of none, gaussian-mask, ",
        ),
        (
            PLAIN + '[[arms]]\nscheme = "gausian-mask"',
            "got 'gausian-mask'; did you mean 'gaussian-mask'?",
        ),
        (
            PLAIN + '[[arms]]\nshceme = "none"',
            "arms[1].scheme is missing; did you mean scheme by 'shceme'?",
        ),
        (PLAIN + "[[arms]]\nscheme = 3", "arms[1].scheme must be text, got 3"),
        (
            PLAIN + '[[arms]]\nscheme = "dp-sgd"\nepsilon = 1\nnoise_multiplier = 1',
            "arms[1] needs exactly one of epsilon and noise_multiplier",
        ),
        (
            '[[arms]]\nscheme = "gaussian-mask:1+dp-sgd:8"\ndelta = 0.1',
            "arms[0].delta is an option, and scheme 'gaussian-mask:1+dp-sgd:8' is a composition",
        ),
        (
            MASK + "kappa = [0.3, 0.30]",
            "arms[1] may give each arm once, got gaussian-mask:kappa=0.3 twice",
        ),
        (
            MASK + 'kappa = 0.3\n[[arms]]\nscheme = "gaussian-mask:kappa=0.30"',
            "arms[1] and arms[2] must be different arms, got gaussian-mask:kappa=0.3 twice",
        ),
        (
            'schemes = ["none", "dropout:0.1", "dropout:0.10"]',
            "schemes[1] and schemes[2] must be different arms, got dropout:rate=0.1 twice",
        ),
        (
            'schemes = ["none", "dropout:2"]',
            "schemes[1].dropout.rate must be a finite number >= 0 and < 1",
        ),
        (
            'schemes = ["none", 3]',
            "schemes[1] must be a scheme, as in gaussian-mask:kappa=0.3, got int: 3",
        ),
        ('schemes = "none"', "schemes must be a list, got 'none'"),
        ('arms = ["none"]', "arms[0] must be a table with a scheme in it, got 'none'"),
        ('schemes = ["none"]\narms = []', "arms and schemes are both given"),
        ("", "arms are missing, so the grid is empty; give [[arms]]"),
        ("arms = []", "arms must not be empty: a grid needs at least one value"),
        ("schemes = []", "schemes must not be empty: a grid needs at least one value"),
        ("seeds = []\n" + PLAIN, "seeds must not be empty: a grid needs at least one value"),
        ("targets = []\n" + PLAIN, "targets must not be empty: a grid needs at least one value"),
        ("datasets = []\n" + PLAIN, "datasets must not be empty: a grid needs at least one value"),
        ("attacks = []\n" + PLAIN, "attacks must have at least 1 item"),
        ("seed = 0\nseeds = [0]\n" + PLAIN, "seed and seeds are both given; give one of them"),
        (
            'target = "mlp"\ntargets = ["mlp"]\n' + PLAIN,
            "target and targets are both given; give one of them",
        ),
        (
            'dataset = ["digits"]\n' + PLAIN,
            "dataset must be a single value, got ['digits']; a list of them is datasets",
        ),
        (
            'datasets = "digits"\n' + PLAIN,
            "datasets must be a list, got 'digits'; a single value is dataset",
        ),
        ("seeds = [0, 0]\n" + PLAIN, "seeds may hold each value once, got 0 twice"),
        (
            'targets = ["mlp", "mlp:hidden=512x256"]\n' + PLAIN,
            "targets may hold each value once, got mlp twice",
        ),
        ('seeds = [0, "x"]\n' + PLAIN, "seeds[1] must be a whole number"),
        ('seed = "x"\n' + PLAIN, "seed must be a whole number"),
        ("seed = -1\n" + PLAIN, "seed must be a whole number >= 0, got -1"),
        ('targets = ["mlp", "vit"]\n' + PLAIN, "targets[1] must be one of mlp, cnn"),
        ('target = "vit"\n' + PLAIN, "target must be one of mlp, cnn"),
        ('attacks = ["loss", "lria"]\n' + PLAIN, "attacks[1] must be one of stacked, lira"),
        ("models = 2\n" + PLAIN, "models must be a whole number >= 3 and <= 100000, got 2"),
        ("examples = 49\n" + PLAIN, "examples must be a whole number >= 50, got 49"),
        ("title = 3\n" + PLAIN, "title must be a valid string, got int: 3"),
        ("model = 3\n" + PLAIN, "model is not a setting; the settings are title, note, dataset"),
        ("model = 3\n" + PLAIN, "did you mean 'models'?"),
        ("epochs = 3\n" + PLAIN, "did you mean 'training.epochs'?"),
        (
            PLAIN + "[training]\nepoch = 3",
            "training.epoch is not a setting; the settings are epochs, batch_size",
        ),
        (PLAIN + "[training]\nepoch = 3", "did you mean 'training.epochs'?"),
        (PLAIN + "[training]\nepochs = 0", "training.epochs must be >= 1, got 0"),
        ("stack = 0\n" + PLAIN, "stack must be 'auto' or a whole number from 1 to 4096, got 0"),
        (
            PLAIN + '[stacks]\n"mlp on digits" = 2',
            "stacks must name a study of the grid, got 'mlp on digits'; did you mean "
            "'cnn on digits'?",
        ),
        (
            MASK + 'kappa = 1\n[notes]\n"gaussian-mask:kappa=2" = "x"',
            "notes must name an arm of the grid, got "
            "'gaussian-mask:kappa=2'; did you mean 'gaussian-mask:kappa=1'?",
        ),
        ("notes = 3\n" + PLAIN, "notes must be a valid dictionary, got int: 3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        grid(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        (
            {"schemes": ["none", "gaussian-mask:kappa=1.0"]},
            {"schemes": ("none", "gaussian-mask:kappa=1")},
        ),
        ({"targets": ["cnn"], "seeds": [5, 6]}, {"targets": ("cnn",), "seeds": (5, 6)}),
        ({"models": 7, "stack": "3"}, {"models": 7, "stack": 3}),
    ],
)
def test_options_replace_what_they_name_and_nothing_else(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    arms = f'{MASK}kappa = [1, 2]\nnote = "loud"\n'
    text = f'target = "mlp"\nseed = 4\nmodels = 5\n{arms}[training]\nepochs = 2\n'
    before = grid(text)
    after = edited_grid(
        tomllib.loads(text), changes, {"epochs": None, "batch_size": 8 if changes else None}
    )
    assert after.training.epochs == 2
    assert after.training.batch_size == (8 if changes else before.training.batch_size)
    for name in ("datasets", "targets", "seeds", "models", "stack", "schemes"):
        assert rendered(getattr(after, name)) == expected.get(name, rendered(getattr(before, name)))


def rendered(value: Any) -> Any:
    return (
        tuple(item if isinstance(item, int) else str(item) for item in value)
        if isinstance(value, tuple)
        else value
    )


def test_options_take_what_hangs_on_what_they_replace() -> None:
    values = tomllib.loads(
        "targets = ['mlp', 'cnn']\nschemes = ['none', 'dropout:0.1', 'dropout:0.2']\n[notes]\n"
        "'dropout:rate=0.1' = 'a'\n'dropout:rate=0.2' = 'b'\n"
        "[stacks]\n'mlp on digits' = 4\n'cnn on digits' = 1\n"
    )
    fewer = edited_grid(values, {"schemes": ["dropout:rate=0.2"], "targets": ["mlp"]}, {})
    assert (words(fewer.notes), fewer.stacks) == ({"dropout:rate=0.2": "b"}, {"mlp on digits": 4})
    assert edited_grid(values, {"stack": "2"}, {}).stacks == {}


def test_without_a_study_there_must_be_arms() -> None:
    with pytest.raises(
        ValueError,
        match=r"arms must be given: there are none to compare; give a study file, .* or --scheme",
    ):
        edited_grid({}, {"targets": ["mlp"]}, {})
    assert edited_grid({}, {"schemes": ["none"]}, {}).schemes == (scheme_choice("none"),)


def test_a_study_that_is_not_there_is_missed_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"STUDY must be a study file, or one of .*quick, got 'quik'; did you mean"
    ):
        study_values(Path("quik"))
    with pytest.raises(ValueError, match=r"the settings file nowhere/quick\.toml cannot be read"):
        study_values(Path("nowhere/quick.toml"))
    shipped = study_values(Path("quick"))
    assert (
        shipped == study_values(Path("quick.toml")) == study_values(ROOT / "studies" / "quick.toml")
    )
    Path("studies").mkdir()
    Path("studies/quick.toml").write_text('schemes = ["none"]')
    assert study_values(Path("quick")) == {"schemes": ["none"]}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_ready_study_can_be_run_and_says_what_it_asks_and_how_long_it_takes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = grid_settings(study_values(path))
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert first.startswith("# ")
    assert "?" in first
    assert "two cores" in first
    assert settings.title
    assert scheme_choice("none") in settings.schemes
    monkeypatch.setattr(
        "mgaudit.study.plan._planned", lambda *_: None
    )  # the accountant takes seconds for each epsilon
    plan = plan_comparison(settings.model_copy(update={"stack": 1}))
    assert len(plan.cells) == len(settings.cells())
    assert all(len(cell.arms) == len(settings.schemes) for cell in plan.cells)


def test_the_ready_studies_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    listed = {entry["name"]: entry for entry in ready_studies()}
    assert set(listed) == {"quick", "kappa-sweep", "noise-schemes", "dp-frontier", "adaptive"}
    assert listed["noise-schemes"]["options"] == "51"
    assert listed["kappa-sweep"]["options"] == "10 in each of 2 studies"
    assert listed["quick"]["path"] == "studies/quick.toml"
    monkeypatch.chdir(tmp_path)
    shipped = ready_studies()
    assert [entry["name"] for entry in shipped] == sorted(listed)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "a.toml").write_text(f"# What is this?\n{PLAIN}")
    (tmp_path / "studies" / "b.toml").write_text("arms = [")
    entries = {entry["name"]: entry for entry in ready_studies()}
    assert (entries["a"]["summary"], entries["a"]["asks"]) == ("–", "What is this?")
    assert entries["b"]["summary"].startswith("cannot be read: ")
    assert len(entries) == len(shipped) + 2
