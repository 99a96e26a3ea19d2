"""What strangers' files may not do: run code, write formulas, or show where the data are."""

import base64
import csv
import gzip
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.reports.csv_text import FORMULA, WITHIN
from mgaudit.reports.document import AuditDocument, document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.render import FORMATS
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import Result
from mgaudit.reports.short_paths import with_short_paths
from mgaudit.run_plans import StartingSettings, run_settings
from mgaudit.settings import named_code
from mgaudit.storage.run_folder import RunFolder
from tests.fake_study import arrays, pdf_text, result, study, write

ROOT = Path(__file__).parents[1]
# A module that leaves a mark when it is imported, and whose classes cannot be chosen.
EVIL = """
from pathlib import Path

Path("mark").touch()

class Thing:
    pass

def data():
    raise RuntimeError("the data were asked for")
"""
ALL_FORMATS = ",".join(FORMATS)


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a module and files of a stranger that name it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # so that every import of the module would succeed
    monkeypatch.setattr(named_code, "_named", set())  # as in a new process
    (tmp_path / "evil.py").write_text(EVIL)
    return tmp_path


# The content of study files and settings files that name code.
GRIDS: dict[str, dict[str, Any]] = {
    "scheme": {"schemes": ["none", "evil:Thing"]},
    "part": {"schemes": ["gaussian-mask:kappa=0.3+evil:Thing:x=1"]},
    "arm": {"arms": [{"scheme": "none"}, {"scheme": "evil:Thing", "width": [1, 2]}]},
    "note": {"schemes": ["none"], "notes": {"evil:Thing": "a note"}},
    "search": {"schemes": ["none"], "searches": {"a study": {"evil:Thing": {}}}},
    "target": {"schemes": ["none"], "targets": ["mlp", "evil:Thing"]},
    "dataset": {"schemes": ["none"], "dataset": "evil:data"},
    "attack": {"schemes": ["none"], "attacks": ["loss", "evil:Thing"]},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "scheme": {"schemes": ["none", "evil:Thing"]},
    "note": {"notes": {"evil:Thing": "a note"}},
    "target": {"target": "evil:Thing:width=3"},
    "dataset": {"dataset": "evil:data"},
    "attack": {"attacks": ["evil:Thing"]},
}
COMMANDS: dict[str, tuple[list[str], dict[str, dict[str, Any]]]] = {
    "compare": (["compare", "f.toml"], GRIDS),
    "compare by name": (["compare", "f"], GRIDS),
    "dry run": (["compare", "f.toml", "--dry-run"], GRIDS),
    "share": (["compare", "f.toml", "--shard", "1/2"], GRIDS),
    "run": (["run", "--settings", "f.toml"], SETTINGS),
    "share of run": (["run", "--settings", "f.toml", "--shard", "1/2"], SETTINGS),
    "audit-dp": (
        ["audit-dp", "--settings", "f.toml"],
        {
            "scheme": {"scheme": "evil:Thing"},
            "target": {"target": "evil:Thing"},
            "dataset": {"dataset": "evil:data"},
        },
    ),
    "audit-checkpoint": (
        ["audit-checkpoint", "w.safetensors", "--members", "0:9", "--settings", "f.toml"],
        {
            "scheme": {"scheme": "evil:Thing"},
            "target": {"target": "evil:Thing"},
            "dataset": {"dataset": "evil:data"},
            "attack": {"attacks": ["evil:Thing"]},
        },
    ),
}
CASES = [
    pytest.param(words, values, id=f"{name}, {kind}")
    for name, (words, files) in COMMANDS.items()
    for kind, values in files.items()
]


def write_settings(values: dict[str, Any]) -> None:
    """Writes the values where a path and where a name of a study are looked for."""
    Path("studies").mkdir(exist_ok=True)
    for path in ("f.toml", "studies/f.toml"):
        Path(path).write_text(tomli_w.dumps(values))


@pytest.mark.parametrize(("words", "values"), CASES)
def test_code_that_only_a_file_names_runs_only_if_it_is_allowed(
    words: list[str], values: dict[str, Any], strange: Path
) -> None:
    write_settings(values)
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()[-1:]
    for word in ("evil:", "f.toml" if "f.toml" in words else "file f", "--allow-code"):
        assert word in line
    assert not Path("mark").exists()
    allowed = CliRunner().invoke(app, [*words, "--allow-code"])
    assert allowed.exit_code == 2, allowed.output  # because the module is wrong in itself
    assert Path("mark").exists()


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["run", "--settings", "f.toml", "--scheme", "evil:Thing:x=1"], SETTINGS["scheme"]),
        (["run", "--settings", "f.toml", "--target", "evil:Thing"], SETTINGS["target"]),
        (["run", "--settings", "f.toml", "--dataset", "evil:data"], SETTINGS["dataset"]),
        (["compare", "f.toml", "--attack", "evil:Thing"], GRIDS["attack"]),
        (["compare", "f.toml", "--scheme", "none", "--scheme", "evil:Thing"], GRIDS["note"]),
        (["audit-dp", "--settings", "f.toml", "--scheme", "evil:Thing"], {"scheme": "evil:Thing"}),
    ],
)
def test_code_that_the_user_names_too_runs(
    words: list[str], values: dict[str, Any], strange: Path
) -> None:
    write_settings(values)
    assert CliRunner().invoke(app, words).exit_code == 2
    assert Path("mark").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--settings", "f.toml", "--target", "evil:Thing"],  # a scheme in the file
        ["run", "--settings", "f.toml", "--dataset", "npz:evil"],
        ["audit-dp", "--settings", "f.toml", "--target", "evil:Thing"],
    ],
)
def test_other_code_of_the_user_allows_nothing(words: list[str], strange: Path) -> None:
    write_settings({"scheme" if "audit-dp" in words else "schemes": ["evil:Thing"]})
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, Path("mark").exists()) == (2, False)


REPLACED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"target": "evil:Thing"}, {"target": "mlp"}, {"target": "mlp"}),
    ({"dataset": "evil:data"}, {"dataset": "digits"}, {"dataset": "digits"}),
    ({"attacks": ["loss", "evil:Thing"]}, {"attacks": ["rmia"]}, {"attacks": ["rmia"]}),
    (
        {"schemes": ["none", "gaussian-mask:kappa=0.3+evil:Thing", "evil:Thing"]},
        {"scheme": "dropout:rate=0.2"},
        {"schemes": ["none", "dropout:rate=0.2"]},
    ),
    (
        {"schemes": ["evil:Thing"]},
        {"scheme": "dropout:rate=0.5"},
        {"schemes": ["dropout:rate=0.5"]},
    ),
]


@pytest.mark.parametrize(("values", "changes", "expected"), REPLACED)
def test_code_of_a_file_that_arguments_replace_is_neither_run_nor_refused(
    values: dict[str, Any], changes: dict[str, Any], expected: dict[str, Any], strange: Path
) -> None:
    write_settings({"models": 6, **values})
    before = StartingSettings("f.toml", allow_code=False)
    audited = changes.get("scheme")
    others = {name: value for name, value in changes.items() if name != "scheme"}
    settings = run_settings(before, others, {}, audited, {}, searched=False).as_dict()
    assert {name: settings[name] for name in expected} == expected
    assert settings["models"] == 6
    with pytest.raises(mgaudit.UsageError, match="--allow-code"):
        run_settings(before, {}, {}, None, {}, searched=False)
    assert not Path("mark").exists()


def test_a_command_with_a_network_in_place_of_that_of_the_file_needs_no_permission(
    strange: Path,
) -> None:
    write_settings({"target": "evil:Thing", "dataset": "csv:missing.csv"})
    for command in ("run", "audit-dp"):
        words = [command, "--settings", "f.toml", "--target", "mlp"]
        done = CliRunner().invoke(app, words)
        assert "missing.csv" in done.stderr.splitlines()[-1]  # what is wrong beside the code
    assert not Path("mark").exists()


def test_a_search_is_valid_for_the_network_of_its_file_only(strange: Path) -> None:
    search = {"evil:Thing": {}}
    write_settings({"target": "evil:Thing", "searches": search})
    done = CliRunner().invoke(app, ["run", "--settings", "f.toml", "--target", "cnn"])
    assert (done.exit_code, Path("mark").exists()) == (2, False)
    assert "--allow-code" in done.stderr


def test_functions_in_python_refuse_the_code_of_a_file_and_not_of_an_argument(
    strange: Path,
) -> None:
    write_settings({"schemes": ["evil:Thing"]})
    calls: list[Callable[..., Any]] = [
        lambda **more: mgaudit.run(settings="f.toml", **more),
        lambda **more: mgaudit.compare("f.toml", **more),
        lambda **more: mgaudit.compare(Path("f"), **more),
        lambda **more: mgaudit.estimate("f.toml", **more),
        lambda **more: mgaudit.audit_dp(settings="f.toml", **more),
    ]
    for call in calls[:4]:
        with pytest.raises(mgaudit.UsageError, match=r"evil:Thing.*allow_code=True"):
            call(quiet=True)
    assert not Path("mark").exists()
    with pytest.raises(mgaudit.UsageError, match="must be a class that extends"):
        calls[0](allow_code=True, quiet=True)
    assert Path("mark").exists()
    Path("mark").unlink()
    Path("other.py").write_text(EVIL)
    with pytest.raises(mgaudit.UsageError, match="must be a class that extends"):
        mgaudit.compare({"schemes": ["other:Thing"]}, quiet=True)
    assert Path("mark").exists()


def evil_run(path: Path) -> Path:
    """Writes a run directory whose settings and labels name code."""
    settings = {**study().settings, "schemes": ["evil:Thing"], "target": "evil:Thing"}
    settings |= {"dataset": "evil:data", "attacks": ["evil:Thing"]}
    own = study(label="evil:Thing", settings=settings)
    record = result(own).model_copy(update={"settings": settings})
    path.parent.mkdir(exist_ok=True)
    write(path, record, [arrays()])
    (path / "settings.toml").write_text(record.settings_toml)
    (path / "log.txt").write_text("evil:Thing\n")
    return path


def test_an_attack_on_a_run_of_a_stranger_imports_nothing(strange: Path) -> None:
    path = evil_run(strange / "runs" / "2026-01-02-evil-0123abcd")
    done = CliRunner().invoke(app, ["attack", str(path), "--attack", "loss"])
    assert done.exit_code == 2
    assert "evil:" in done.stderr
    assert "--allow-code" in done.stderr
    loaded = mgaudit.load(path)
    for call in (lambda: loaded.attack("loss"), lambda: loaded.observations()):
        with pytest.raises(mgaudit.UsageError, match="allow_code=True"):
            call()
    assert not Path("mark").exists()
    CliRunner().invoke(app, ["attack", str(path), "--attack", "loss", "--allow-code"])
    assert Path("mark").exists()


def reading_commands(run: str, other: str) -> Iterator[list[str]]:
    """Yields commands that list, report or score; the runs are those of a stranger."""
    kinds = ("targets", "schemes", "attacks", "queries", "datasets", "studies", "papers")
    yield from (["list", kind] for kind in kinds)
    yield from (["list"], ["list", "--json"], ["data", "list"])
    yield from (["runs"], ["runs", "list", "--json"], ["runs", "show", run])
    yield ["runs", "compare", run, other]
    yield ["report", run, "--format", "html,csv,latex"]
    yield ["report", run, other, "--chapters", "--format", "html"]
    yield from (["cache"], ["cache", "verify"])
    yield from (["score", "scores.csv", "-q"], ["score", "outputs.npz", "-q", "--attack", "loss"])
    yield ["runs", "remove", "2026-01-03-killed-0123abcd", "--yes"]


@pytest.mark.usefixtures("blank_figures")
def test_listing_reporting_and_scoring_import_no_code_of_files(
    strange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, values in GRIDS.items():
        write_settings(values)
        Path("studies/f.toml").rename(f"studies/{name}.toml")
    Path("settings.toml").write_text(tomli_w.dumps(SETTINGS["scheme"]))
    runs = [evil_run(strange / "runs" / f"2026-01-0{day}-evil-0123abcd") for day in (1, 2)]
    killed = RunFolder(strange / "runs" / "2026-01-03-killed-0123abcd")
    killed.begin(SETTINGS["scheme"])
    generator = np.random.default_rng(0)
    rows = [f"{generator.random()},{index % 2},evil:Thing{index}" for index in range(200)]
    Path("scores.csv").write_text("\n".join(["score,member,group", *rows]))
    logits = generator.normal(size=(4, 80, 3))
    membership = generator.random((4, 80)) < 0.5
    np.savez("outputs.npz", logits=logits, labels=np.arange(80) % 3, membership=membership)
    monkeypatch.setattr(
        RunFolder, "write_reports", write_only_default_formats(RunFolder.write_reports)
    )
    for command in reading_commands(*map(str, runs)):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, (command, done.output)
        assert not Path("mark").exists(), command
    monkeypatch.setenv("_MGAUDIT_COMPLETE", "complete_bash")
    for words in ("mgaudit compare ", "mgaudit attack ", "mgaudit run --target "):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        assert CliRunner().invoke(app, [], prog_name="mgaudit").exit_code == 0
        assert not Path("mark").exists(), words


def write_only_default_formats(write_reports: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the method without the PDF, which takes seconds and is not what is tested."""

    def without_pdf(self: RunFolder, formats: Any, *arguments: Any) -> Any:
        return write_reports(self, [name for name in formats if name != "pdf"], *arguments)

    return without_pdf


FORMULAS = (
    '=HYPERLINK("http://evil","x")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1",
    "x;=1",
)


def csv_files(content: AuditDocument) -> Iterator[tuple[str, str]]:
    """Yields name and content of every CSV that is made of a result."""
    yield "report.csv", render_csv(content.result)
    links = re.findall(r'download="([^"]+)" href="[^"]*;base64,([^"]+)"', render_html(content))
    for name, data in links:
        packed = base64.b64decode(data)
        text = gzip.decompress(packed) if name.endswith(".gz") else packed
        yield name, text.decode()
    for _, table in content.tables:
        yield table.key, table.csv()
    for _, drawing in content.drawings:
        yield drawing.name, drawing.csv()


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("text", FORMULAS)
def test_no_csv_has_a_formula(text: str) -> None:
    record = study(label=text)
    classes = tuple(f"{text}{number}" for number in range(len(record.dataset.classes)))
    data = record.dataset.model_copy(update={"name": text, "classes": classes})
    as_json = record.model_copy(update={"dataset": data}).model_dump_json()
    for old, new in zip(record.dataset.classes, classes, strict=True):
        as_json = as_json.replace(f'"label":"{old}"', f'"label":{json.dumps(new)}')
    nasty = type(record).model_validate_json(as_json)
    content = document(result(nasty), [arrays()])
    found = 0
    for name, csv_of_it in csv_files(content):
        for row in csv.reader(io.StringIO(csv_of_it, newline="")):
            for cell in row:
                found += text in cell.replace("'", "")
                assert is_number(cell) or not FORMULA.match(cell), (name, cell)
                assert not WITHIN.search(cell), (name, cell)
    assert found > 10


def test_csv_is_written_by_one_function() -> None:
    paths = [
        path
        for folder in ("mgaudit", "reports", "attacks", "targets")
        for path in (ROOT / folder).rglob("*.py")
    ]
    writers = {
        path.name for path in paths if re.search(r"csv\.(Dict)?[wW]riter|to_csv", path.read_text())
    }
    assert writers == {"csv_text.py"}


@pytest.mark.usefixtures("blank_figures")
def test_no_file_of_a_run_is_readable_by_others_with_the_umask_077(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    before = os.umask(0o077)
    try:
        settings = ["--target", "mlp:hidden=8", "--models", "4", "--examples", "100"]
        settings += ["--no-dp", "--epochs", "1", "--jobs", "1", "--attack", "loss", "-q"]
        for command in (["run", *settings], ["report", "latest", "--format", ALL_FORMATS]):
            assert CliRunner().invoke(app, command).exit_code == 0
        _log_of_a_failure()
    finally:
        os.umask(before)
    paths = [path for path in tmp_path.rglob("*") if path != tmp_path / "tmp"]
    assert {"result.json", "report.pdf", "report.tex", "log.txt"} <= {path.name for path in paths}
    assert any(path.suffix == ".safetensors" for path in paths)
    assert any(path.parent.name == "tmp" for path in paths)
    for path in paths:
        assert path.lstat().st_mode & 0o077 == 0, path


def _log_of_a_failure() -> None:
    from mgaudit.failure import temporary_log

    temporary_log(["a line"])


def with_path(text: str, options: dict[str, Any]) -> Result:
    """Returns the result of a study of the data in a file."""
    settings = {**study().settings, "dataset": text}
    choice = ChoiceRecord(name="csv", options=options)
    data = study().dataset.model_copy(
        update={"name": text, "choice": choice, "notes": (f"{text}: 3 rows were left out",)}
    )
    own = study(dataset=data, settings=settings)
    command = "mgaudit audit-checkpoint '/home/xerxes quux/models/m.safetensors'"
    return result(own).model_copy(update={"settings": settings, "command": command})


@pytest.mark.usefixtures("blank_figures")
def test_reports_show_no_directory_of_the_data_unless_asked(tmp_path: Path) -> None:
    path = "/home/xerxes quux/zyzzyva/patients.csv"
    record = with_path(f"csv:{path}#income", {"path": path, "label": "income"})
    write(tmp_path, record, [arrays()])
    secrets = ("xerxes", "quux", "zyzzyva")
    for full_paths in (False, True):
        for written in RunFolder(tmp_path).write_reports(list(FORMATS), None, full_paths):
            files = [written] if written.is_file() else list(written.rglob("*"))
            text = "".join(_text(file) for file in files if file.is_file())
            shown = [secret for secret in secrets if secret in text]
            assert bool(shown) == full_paths, written
            assert "patients.csv" in text
    assert path in (tmp_path / "result.json").read_text()  # which must be able to repeat the run


def _text(path: Path) -> str:
    """Returns the text of a report, with that of the files within a page."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        return " ".join(pdf_text(content).split())
    text = content.decode()
    inside = (base64.b64decode(data) for data in re.findall(r";base64,([^\"]+)\"", text))
    return text + "".join(map(_unpacked, inside))


def _unpacked(content: bytes) -> str:
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()


def test_short_paths_stay_different_and_change_nothing_else() -> None:
    both = {"datasets": ["npz:/home/a/one/x.npz", "npz:/home/b/one/x.npz,size=3"]}
    data = study().dataset.model_copy(update={"choice": ChoiceRecord(name="npz"), "name": "npz"})
    own = study(dataset=data)
    record = result(own, settings=both, note="and/or /a/b", title="/home/a/one/x.npz")
    short = with_short_paths(record)
    assert short.settings == {"datasets": ["npz:…/a/one/x.npz", "npz:…/b/one/x.npz,size=3"]}
    assert (short.note, short.title) == ("and/or /a/b", "…/a/one/x.npz")
    assert short.studies == record.studies
    for settings in ({"dataset": "npz:/x.npz"}, {"dataset": "digits"}, {"dataset": "npz:x/y.npz"}):
        without = result(own, settings=settings)
        assert with_short_paths(without) is without
