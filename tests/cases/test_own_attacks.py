"""Own attacks are checked on made-up outputs before training, and read arrays that stay the same.

Rows of the review: B20 to B24, B34 and A6.
"""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgaudit as library
from mgaudit.attacks import ATTACKS, Attack, score_every_target
from mgaudit.attacks.observations import AdversaryView
from mgaudit.attacks.signals import logit_confidence
from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import attack_choice
from mgaudit.study.attack_trial import OutputShapes, check_attacks
from mgaudit.study.extras import EXTRAS
from mgaudit.testing import check_attack, planted
from tests.cases.own_code import TINY, mgaudit, nothing_is_trained, passes, refused

HEAD = """
import sys
from dataclasses import dataclass, field

import numpy as np
import torch

from mgaudit.attacks import Attack
from mgaudit.attacks.signals import logit_confidence


def phi(view):
    return view.target_signal(logit_confidence).mean(axis=-1)
"""

# By name, the body of `score`, and words of the line that refuses it.
REFUSED = {
    "Nothing": ("phi(view)", "must return float64 scores of shape (60,)", "got NoneType"),
    "Columns": ("return phi(view)[:, None]", "got float64 of shape (60, 1)", ""),
    "Scalar": ("return phi(view).mean()", "got float64", ""),
    "TooFew": ("return phi(view)[1:]", "got float64 of shape (59,)", ""),
    "NotANumber": ("return phi(view) * np.nan", "must return a finite score", "got nan"),
    "Infinite": ("return phi(view) + np.inf", "must return a finite score", "got inf"),
    "Truth": ("return phi(view) > 0", "got bool of shape (60,)", ""),
    "Words": ("return phi(view).astype(str)", "must return float64 scores", "got <U"),
    "Complex": ("return phi(view) + 0j", "got complex128", ""),
    "Objects": ("return phi(view).astype(object)", "got object", ""),
    "Whole": ("return phi(view).astype(int)", "got int64", ""),
    "Half": ("return phi(view).astype(np.float16)", "got float16", ""),
    "Single": ("return phi(view).astype(np.float32)", "got float32", ""),
    "List": ("return phi(view).tolist()", "got list", ""),
    "Tensor": ("return torch.tensor(phi(view))", "got Tensor", ""),
    "Masked": ("return np.ma.masked_less(phi(view), 0)", "got MaskedArray", ""),
    "Key": ("return {}['x']", "fails: KeyError: 'x' (own.py, line", ""),
    "Exit": ("sys.exit(0)", "fails: SystemExit: 0", ""),
    "Lines": ("raise ValueError('two\\nlines')", "fails: ValueError: two lines", ""),
    "Extra": ("return view.target_extra('features')[:, 0]", "must hold 'features'", ""),
    "NumpyDraws": ("return np.random.normal(size=60)", "must return identical scores", ""),
    "OwnDraws": ("return np.random.default_rng().random(60)", "must return identical scores", ""),
    "TorchDraws": ("return torch.rand(60).double().numpy()", "must return identical scores", ""),
    "Memory": (
        "object.__setattr__(self, 'n', getattr(self, 'n', 0) + 1); return phi(view) * self.n",
        "must return identical scores for identical outputs",
        "keep nothing between calls",
    ),
    "Writes": ("view.target_logits[:] = 0; return phi(view)", "read-only", "can be copied"),
    "TorchWrites": (
        "torch.from_numpy(view.target_logits).mul_(0); return phi(view)",
        "must not change the arrays that it reads; change a copy",
        "",
    ),
    "TorchWritesSignal": (
        "torch.from_numpy(view.target_signal(logit_confidence)).zero_(); return phi(view)",
        "must not change the arrays that it reads",
        "",
    ),
    "TorchWritesLabels": (
        "torch.from_numpy(view.labels).zero_(); return phi(view)",
        "must not change the arrays that it reads",
        "",
    ),
    "Forces": (
        "a = view.target_logits; a.setflags(write=True); a[:] = 0; return phi(view)",
        "cannot set WRITEABLE flag",
        "can be copied",
    ),
}
BODIES = "".join(
    f"""

@dataclass(frozen=True)
class {name}(Attack):
    def score(self, view):
        {body}
"""
    for name, (body, *_) in REFUSED.items()
)

FACTS = """

class SetOfNeeds(Attack):
    needs = {"shadows"}
    def score(self, view):
        return phi(view)

class Letters(SetOfNeeds):
    needs = frozenset("shadows")

class Typo(SetOfNeeds):
    needs = frozenset({"shadow"})

class Numbers(SetOfNeeds):
    needs = frozenset({1})

class NoSource(SetOfNeeds):
    needs = frozenset()
    source = None

class ManyShadows(SetOfNeeds):
    needs = frozenset({"shadows"})
    fewest_shadows = 9

class OddFewest(SetOfNeeds):
    needs = frozenset({"shadows"})
    fewest_shadows = "two"

class WithoutScore(Attack):
    pass

class NoAttack:
    def score(self, view):
        return phi(view)

class Unbuildable(Attack):
    def __init__(self):
        raise KeyError("x")
    def score(self, view):
        return phi(view)

def function(view):
    return phi(view)
"""

GOOD = """

class OnlyScore(Attack):
    def score(self, view):
        return phi(view)

class Derived(OnlyScore):
    pass

@dataclass
class Thawed(Attack):
    sign: int = 1
    def score(self, view):
        return self.sign * phi(view)

@dataclass(frozen=True)
class Weighted(Attack):
    weights: dict = field(default_factory=dict)
    def score(self, view):
        return phi(view)

class WithInit(Attack):
    def __init__(self, scale: float = 2.0):
        self.scale = scale
    def score(self, view):
        return self.scale * phi(view)

class Buffer(Attack):
    out = np.empty(60)
    def score(self, view):
        self.out[:] = phi(view)
        return self.out

class Everything(Attack):
    needs = frozenset({"shadows", "population", "features"})
    def score(self, view):
        features = view.target_extra("features")
        assert features[:, 31].shape == (60,)
        assert view.population_extra("features").shape[1] == features.shape[1]
        return phi(view) - view.shadow_signal(logit_confidence).mean(axis=(0, 2))
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with `own.py`; the cache is `cache` in it."""
    (tmp_path / "own.py").write_text(HEAD + BODIES + FACTS + GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def own(name: str) -> Any:
    """Returns a class of `own.py`."""
    attack_choice("own:OnlyScore")  # the import finds the current directory
    return getattr(import_module("own"), name)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("name", REFUSED)
def test_b22_an_attack_that_breaks_a_rule_is_refused_before_training(name: str) -> None:
    _, *words = REFUSED[name]
    refused(("run", "--attack", f"own:{name}", *TINY), f"attack own:{name} ", *words)


def test_b22_an_object_and_a_later_attack_are_refused_as_well() -> None:
    settings: dict[str, Any] = {"target": "mlp:hidden=8", "dp": False, "models": 4}
    settings |= {"examples": 60, "stack": 1, "quiet": True, "jobs": 1}
    for attacks in (own("Key")(), ["loss", own("Key")()]):
        with pytest.raises(UsageError, match=r"attack own:Key must score .* KeyError: 'x'"):
            library.run(attack=attacks, **settings)
    assert nothing_is_trained()


def test_b22_every_command_that_takes_an_attack_checks_it(workplace: Path) -> None:
    refused(("compare", "--scheme", "none", "--attack", "own:Key", *TINY[:2], *TINY[3:]), "own:Key")
    for name in ("Key", "NumpyDraws", "Masked"):
        refused(("score", outputs_file(), "--attack", f"own:{name}", "--quiet"), f"own:{name} ")
    (workplace / "fits.py").write_text(
        "def fit(x, y, *, seed):\n    raise AssertionError('it was trained')\n"
    )
    fit = ("run", "--fit", "fits:fit", "--models", "4", "--examples", "60", "--quiet")
    refused((*fit, "--attack", "own:NumpyDraws"), "attack own:NumpyDraws must return identical")


def test_b22_a_checkpoint_is_not_attacked_by_an_attack_that_fails() -> None:
    from safetensors.torch import save_file

    from mgaudit.targets import MLP

    save_file(MLP((1, 8, 8), 10, hidden=(8,)).state_dict(), "model.safetensors")
    arguments = ["audit-checkpoint", "model.safetensors", "--members", "0:600"]
    arguments += ["--target", "mlp:hidden=8", "--models", "4", "--epochs", "1", "--stack", "1"]
    refused((*arguments, "--quiet", "--attack", "own:Key"), "own:Key must score the outputs")


def test_b22_an_attack_of_an_installed_package_is_refused_by_its_name(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = workplace / "extra-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[mgaudit.attacks]\ninstalled = own:NumpyDraws\n")
    monkeypatch.syspath_prepend(workplace)
    words = "attack installed must return identical scores for identical outputs"
    refused(("run", "--attack", "loss", "--attack", "installed", *TINY), words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SetOfNeeds", ("own:SetOfNeeds must have a frozenset of texts for its needs",)),
        ("Letters", ("own:Letters.needs must be of population, queries, shadows",)),
        ("Typo", ("own:Typo.needs must be of", "did you mean 'shadows'?")),
        ("Numbers", ("must have a frozenset of texts for its needs, got frozenset({1})",)),
        ("NoSource", ("own:NoSource must have a text for its source, got None",)),
        ("ManyShadows", ("models must be >= 10 for the attack own:ManyShadows", "got 4")),
        ("OddFewest", ("must have a whole number >= 1 for its fewest_shadows, got 'two'",)),
        ("WithoutScore", ("cannot be built: TypeError: Can't instantiate abstract class",)),
        ("NoAttack", ("must be a class that extends mgaudit.attacks.attack.Attack",)),
        ("Unbuildable", ("own:Unbuildable cannot be built: KeyError: 'x'",)),
        ("function", ("must be a class that extends mgaudit.attacks.attack.Attack",)),
        ("Absent", ("must be a class in own (", "there is no Absent")),
    ],
)
def test_b22_wrong_facts_of_an_attack_are_refused(name: str, words: tuple[str, ...]) -> None:
    refused(("run", "--attack", f"own:{name}", *TINY), *words)


def test_b20_an_attack_with_score_alone_is_audited_to_the_report(blank_figures: None) -> None:
    names = ("OnlyScore", "Derived", "Thawed:sign=-1", "WithInit", "Buffer", "Everything")
    attacks = [word for name in names for word in ("--attack", f"own:{name}")]
    folder = passes(("run", *attacks, *TINY))
    arrays = np.load(folder / "arrays.npz")
    scores = {key: arrays[key] for key in arrays.files if key.endswith("/scores")}
    first = next(values for key, values in scores.items() if "own:OnlyScore" in key)
    of_buffer = next(values for key, values in scores.items() if "own:Buffer" in key)
    reversed_sign = next(values for key, values in scores.items() if "sign=-1" in key)
    assert np.array_equal(first, of_buffer)  # each target has its own scores
    assert np.array_equal(first, -reversed_sign)
    assert len(np.unique(first, axis=0)) == len(first)


def test_b20_objects_have_the_defaults_of_their_fields() -> None:
    for name in ("OnlyScore", "Thawed", "Weighted", "WithInit", "Everything"):
        assert attack_choice(own(name)()).text == f"own:{name}"
    assert attack_choice(own("WithInit")(3.0)).text == "own:WithInit:scale=3"
    with pytest.raises(UsageError, match="weights"):
        attack_choice(own("Weighted")({"a": np.zeros(3)}))


@dataclass(frozen=True)
class Hidden(Attack):
    """An attack whose option is not an attribute."""

    def __init__(self, k: int = 3) -> None:
        object.__setattr__(self, "other", k)

    def score(self, view: AdversaryView) -> Any:
        return view.target_signal(logit_confidence)[:, 0]


def test_b20_an_object_that_hides_its_option_is_refused() -> None:
    with pytest.raises(UsageError, match="must keep its option k as an attribute of this name"):
        attack_choice(Hidden())


def views_of_arrays(view: AdversaryView) -> dict[str, Any]:
    """Returns every array that a view gives, by name."""
    shadows = np.zeros(5, dtype=np.int64)
    arrays = {name: view.target_extra(name) for name in EXTRAS}
    moments = view.shadow_moments(logit_confidence)
    arrays |= {f"moments {name}": values for name, values in vars(moments).items()}
    return {
        **arrays,
        "labels": view.labels,
        "population labels": view.population_labels,
        "target logits": view.target_logits,
        "shadow outputs": view.shadow_outputs(shadows, shadows),
        "shadow membership": view.shadow_membership,
        "references in": view.references_in,
        "references out": view.references_out,
        "target signal": view.target_signal(logit_confidence),
        "population signal": view.population_signal(logit_confidence),
        "shadow signal": view.shadow_signal(logit_confidence),
        "shadow population signal": view.shadow_population_signal(logit_confidence),
        "population features": view.population_extra("features"),
    }


def test_b21_no_array_of_a_view_changes_what_other_attacks_read() -> None:
    generator = np.random.default_rng(0)
    observations = planted(4, 50, 1.5, generator, queries=2, classes=3)
    attacks = [ATTACKS[name]() for name in ("lira", "rmia", "gradient-norm")]
    before = [score_every_target(attack, observations) for attack in attacks]
    arrays = views_of_arrays(observations.view(1))
    assert len(arrays) > 15
    for array in arrays.values():
        if not isinstance(array, np.ndarray):
            continue
        while isinstance(array, np.ndarray):  # the array and all arrays behind it
            try:
                array.setflags(write=True)
            except ValueError:
                assert not array.flags.writeable
            else:
                array[...] = 0
            array = array.base
    after = [score_every_target(attack, observations) for attack in attacks]
    for scores, again in zip(before, after, strict=True):
        assert np.array_equal(scores, again)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_b21_check_attack_names_a_change() -> None:
    for name in ("TorchWrites", "TorchWritesSignal"):
        with pytest.raises(AssertionError, match="must not change the arrays that it reads"):
            check_attack(own(name)())


def test_b21_the_arrays_of_the_caller_stay_writable() -> None:
    generator = np.random.default_rng(0)
    logits = planted(4, 50, 1.5, generator).logits.copy()
    observations = replace(planted(4, 50, 1.5, generator), logits=logits)
    assert np.shares_memory(observations.logits, logits)
    logits[0, 0, 0, 0] = 1.0


def test_b21_a_trial_does_not_change_the_labels_of_the_data() -> None:
    tried = shapes()
    labels = tried.labels.copy()
    for name in ("TorchWritesLabels", "Writes"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(UsageError):
                check_attacks([attack_choice(f"own:{name}")], tried)
    assert np.array_equal(tried.labels, labels)


def shapes(examples: int = 60, **changes: Any) -> OutputShapes:
    labels = np.arange(examples) % 3
    values: dict[str, Any] = {"models": 4, "queries": 1, "classes": 3} | changes
    return OutputShapes(labels=labels, population_labels=labels[:40], **values)


def test_made_up_outputs_have_the_shapes_of_the_audit() -> None:
    extras = {"features": (7,), "gradient_norm": ()}
    made = shapes(queries=2, extras=extras).made_up(frozenset(extras))
    assert made.logits.shape == (4, 60, 2, 3)
    assert made.population_logits is not None
    assert made.population_logits.shape == (4, 40, 2, 3)
    assert made.extras["features"].shape == (4, 60, 7)
    assert made.population_extras["features"].shape == (4, 40, 7)
    assert made.extras["gradient_norm"].shape == (4, 60)
    assert (made.extras["gradient_norm"] > 0).all()
    # Members are more confident, and most predictions are right.
    confidence = logit_confidence(made.logits, made.labels).mean(axis=-1)
    assert confidence[made.membership].mean() > confidence[~made.membership].mean()


def test_a_built_in_attack_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_up(*_: Any) -> None:
        raise AssertionError("outputs were made up")

    monkeypatch.setattr(OutputShapes, "made_up", made_up)
    check_attacks([attack_choice(name) for name in ATTACKS if name != "label-only"], shapes())


def test_an_attack_with_few_shadow_models_is_tried_only_where_it_is_the_first(
    workplace: Path,
) -> None:
    (workplace / "few.py").write_text(
        HEAD + "\n\nclass Three(Attack):\n    needs = frozenset({'shadows'})\n"
        "    def score(self, view):\n        assert view.shadows >= 3, view.shadows\n"
        "        return phi(view)\n"
    )
    three, loss = attack_choice("few:Three"), attack_choice("loss")
    check_attacks([loss, three], shapes())
    with pytest.raises(UsageError, match=r"attack few:Three must score .* AssertionError: 2"):
        check_attacks([three, loss], shapes())


PRINTS = """
import atexit
import ctypes
import os
import sys

print("printed at import")
os.write(1, b"written at import\\n")
ctypes.CDLL(None).puts(b"put at import")
sys.stderr.write("an error at import\\n")
"""
PRINTS_AT_EXIT = """
atexit.register(print, "printed at exit")
"""
LOUD = """
import numpy as np

from mgaudit.attacks import Attack
from mgaudit.targets.networks.mlp import MLP


class Loud(Attack):
    def score(self, view):
        print("printed by score")
        return view.target_logits.max(axis=(1, 2)).astype(float)


class Net(MLP):
    def __init__(self, input_shape, num_classes):
        print("printed by the constructor")
        super().__init__(input_shape, num_classes, (8,))

    def forward(self, x):
        print("printed by forward")
        return super().forward(x)


def data():
    print("printed by the data")
    x = np.random.default_rng(0).random((90, 3), dtype=np.float32)
    return x[:60], np.arange(60) % 2, x[60:], np.arange(30) % 2
"""


def process(
    *arguments: str, flags: tuple[str, ...] = ("-P", "-m", "mgaudit")
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of its own; with -P, the current directory is not on its path."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *flags, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def outputs_file() -> str:
    generator = np.random.default_rng(0)
    np.savez(
        "outputs.npz",
        logits=generator.normal(size=(4, 60, 3)),
        labels=generator.integers(0, 3, 60),
        membership=generator.random((4, 60)) < 0.5,
    )
    return "outputs.npz"


def test_b24_stdout_is_one_json_document_whatever_own_code_prints(workplace: Path) -> None:
    (workplace / "loud.py").write_text(PRINTS + PRINTS_AT_EXIT + LOUD)
    done = process("score", outputs_file(), "--attack", "loud:Loud", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["studies"]
    for line in ("printed at import", "written at import", "put at import", "printed by score"):
        assert line in done.stderr
    assert "printed at exit" in done.stderr


OUTPUT = """
import sys
from pathlib import Path
from types import SimpleNamespace

from mgaudit.cli.own_output import end_output, own_output
from mgaudit.failure import RunFailedError

quiet, fails = "quiet" in sys.argv, "fails" in sys.argv
sys.path.append(".")
try:
    with own_output(quiet) as own:
        import loud
        if fails:
            folder = SimpleNamespace(path=Path.cwd())
            raise RunFailedError(ValueError("x"), folder, "see the log")
        own.folder = Path.cwd()
except RunFailedError:
    pass
print("a result")
end_output()
print("printed after the result")
"""
LINES = ("printed at import", "written at import", "put at import", "an error at import")


@pytest.mark.parametrize("fails", ["", "fails"])
def test_b24_only_results_are_written_to_stdout(workplace: Path, fails: str) -> None:
    (workplace / "loud.py").write_text(PRINTS + PRINTS_AT_EXIT)
    done = process(fails, flags=("-P", "-c", OUTPUT))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a result\n"
    for line in (*LINES, "printed after the result", "printed at exit"):
        assert line in done.stderr
    assert not Path("log.txt").exists()


@pytest.mark.parametrize("fails", ["", "fails"])
def test_b24_with_quiet_the_log_has_the_output_of_own_code(workplace: Path, fails: str) -> None:
    (workplace / "loud.py").write_text(PRINTS + PRINTS_AT_EXIT)
    done = process("quiet", fails, flags=("-P", "-c", OUTPUT))
    assert (done.returncode, done.stdout, done.stderr) == (0, "a result\n", "")
    for line in LINES:
        assert line in Path("log.txt").read_text()


@pytest.mark.slow
def test_b24_with_quiet_the_log_has_what_own_code_prints(workplace: Path) -> None:
    (workplace / "loud.py").write_text(PRINTS + PRINTS_AT_EXIT + LOUD)
    done = process("score", outputs_file(), "--attack", "loud:Loud", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (log,) = Path("runs").glob("*/log.txt")
    for line in ("written at import", "put at import", "an error at import", "printed by score"):
        assert line in log.read_text()


def test_b24_an_error_is_one_line_although_own_code_prints(workplace: Path) -> None:
    (workplace / "loud.py").write_text(PRINTS + LOUD)
    result = mgaudit("run", "--target", "loud:Net", "--attack", "loud:Absent", "--quiet")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "there is no Absent" in result.stderr


SHADOWS = ("random", "copy", "queue", "token", "string", "struct", "select", "platform", "inspect")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-P", "-m", "mgaudit"), ("-m", "mgaudit")])
def test_a06_b24_files_of_any_name_do_not_break_workers_that_print(
    workplace: Path, flags: tuple[str, ...]
) -> None:
    (workplace / "loud.py").write_text(PRINTS + PRINTS_AT_EXIT + LOUD)
    for name in (*SHADOWS, "numpy", "torch", "pandas", "joblib", "json", "secrets", "tempfile"):
        (workplace / f"{name}.py").write_text(f"raise RuntimeError('{name}.py was imported')\n")
    (workplace / "logging").mkdir()
    (workplace / "logging" / "__init__.py").write_text("raise RuntimeError('logging')\n")
    arguments = ["run", "--dataset", "loud:data", "--target", "loud:Net", "--attack", "loud:Loud"]
    arguments += ["--no-dp", "--models", "4", "--epochs", "1", "--batch-size", "16"]
    arguments += ["--stack", "1", "--jobs", "2", "--json"]
    done = process(*arguments, flags=flags)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["studies"]
    assert done.stderr.count("printed at import") == 3  # this process and two workers


def test_a06_a_worker_finds_modules_of_the_library_first(workplace: Path) -> None:
    for name in SHADOWS:
        (workplace / f"{name}.py").write_text(f"raise RuntimeError('{name}.py was imported')\n")
    code = "from mgaudit.compute.parallel import run; print(*run(abs, [-1, -2], 2))"
    done = process(flags=("-P", "-c", code))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["1", "2"]


@pytest.mark.parametrize("name", ["attacks", "targets", "reports", "mgaudit"])
def test_b34_a_package_that_another_one_hides_is_named(
    workplace: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder in (elsewhere, workplace):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    (workplace / name / "own.py").write_text(HEAD + GOOD)
    before = sys.modules.pop(name, None) if name != "mgaudit" else None
    sys.path.insert(0, str(elsewhere))
    try:
        line = refused(("run", "--attack", f"{name}.own:OnlyScore", *TINY), "cannot be imported")
    finally:
        if name != "mgaudit":
            sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
    assert f"rename {workplace / name}, because Python finds " in line
    assert f"of the name '{name}' first" in line


def test_b34_a_package_that_nothing_hides_is_audited(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "attacks").mkdir()
    (workplace / "attacks" / "mine.py").write_text(HEAD + GOOD)
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [path for path in sys.path if Path(path).resolve() != root])
    monkeypatch.delitem(sys.modules, "attacks", raising=False)
    assert attack_choice("attacks.mine:OnlyScore").text == "attacks.mine:OnlyScore"
    sys.modules.pop("attacks.mine")
    sys.modules.pop("attacks")


def test_b34_a_file_with_the_name_of_a_library_module_is_named(workplace: Path) -> None:
    (workplace / "secrets.py").write_text(HEAD + GOOD)
    line = refused(("run", "--attack", "secrets:OnlyScore", *TINY), "there is no OnlyScore")
    assert f"rename {workplace / 'secrets.py'}, because Python finds " in line
