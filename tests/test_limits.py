"""Every limit of the table is checked before work starts."""

import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from mgaudit.checkpoint.members import example_indices
from mgaudit.cli.own_output import HEADING, own_output
from mgaudit.errors import Limit, UsageError
from mgaudit.limits import LIMITS
from mgaudit.outputs.files import read_outputs
from mgaudit.reports.arrays import read_arrays
from mgaudit.reports.results import read_result
from mgaudit.running import checked_jobs
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.study_settings import dp_audit_settings, study_settings, target_choice
from mgaudit.settings.toml_file import read_settings
from mgaudit.settings.tuning import checked_tuning
from mgaudit.storage.run_folder import LOG_FILE
from mgaudit.targets.arrays.parquet_sizes import checked_texts
from mgaudit.targets.contract import check_target
from mgaudit.targets.datasets.images.folder import read_folder
from mgaudit.targets.datasets.synthetic import draw_synthetic
from mgaudit.targets.datasets.tables.csv import read_csv
from mgaudit.targets.fitting import accountants
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.querying.queries import Crops, Plain
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training
from tests.cases.parquet_files import Chunk, data_page, equal_values
from tests.cases.parquet_files import write as write_parquet

Check = Callable[[Path, pytest.MonkeyPatch], object]
GENERATOR = np.random.default_rng(0)
FEW = 5


def few(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    """Lowers a limit, which real files would reach after minutes."""
    monkeypatch.setattr(f"mgaudit.{module}.{name}", replace(LIMITS[name], most=FEW))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def csv(folder: Path, text: str) -> object:
    return read_csv(str(written(folder / "x.csv", text)), None, GENERATOR)


def large_file(path: Path, size: int) -> Path:
    """Returns a file with a hole, which takes no space on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def grey_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(min(height * (width + 1), 100)))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def images(folder: Path, size: int, option: tuple[int, ...] = ()) -> object:
    for name in "abcdef":
        written(folder / "images" / name[0] / f"{name}.png", grey_png(size, size))
        written(folder / "images" / "a" / f"{name}.png", grey_png(size, size))
    return read_folder(str(folder / "images"), None, GENERATOR, size=option)


def archive(folder: Path, size: int) -> object:
    with ZipFile(folder / "arrays.npz", "w", ZIP_DEFLATED) as file:
        file.writestr("study0/x.npy", bytes(size))
    return read_arrays(folder, 1)


def network(text: str, shape: tuple[int, ...] = (1, 8, 8)) -> object:
    choice = target_choice(text)
    return check_target(choice.name, choice.built, shape, 2)


def points(name: str) -> Check:
    """Returns the check of a grid of the accountants, which then have no bound by it."""

    def check(_: Path, monkeypatch: pytest.MonkeyPatch) -> object:
        mechanism = accountants.Mechanism(1.0, 0.01, 1000)
        before = accountants.pld_epsilon(mechanism, 1e-5), accountants.prv_epsilon(mechanism, 1e-5)
        monkeypatch.setattr(accountants, f"MOST_{name}", FEW)
        after = accountants.pld_epsilon(mechanism, 1e-5), accountants.prv_epsilon(mechanism, 1e-5)
        assert None not in before
        assert None in after
        raise UsageError(name, f"{LIMITS[name].most:,}")

    return check


def bomb(folder: Path, rows: int, chunk: Chunk) -> object:
    return checked_texts("x", write_parquet(folder / "x.parquet", rows, x=chunk))


def scored(folder: Path) -> object:
    return read_outputs(written(folder / "x.csv", "score,member\n" + "0.5,1\n" * 9))


def toml(folder: Path, text: str) -> object:
    return read_settings(written(folder / "x.toml", text))


def result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    large_file(folder / "result.json", LIMITS["RESULT_BYTES"].most + 1)
    return read_result(folder)


def logged(folder: Path, _: pytest.MonkeyPatch) -> object:
    with own_output(quiet=True) as own:
        own.folder = folder
        sys.stdout.write("x" * (LIMITS["LOGGED_BYTES"].most + 1))
    text = (folder / LOG_FILE).read_text().removeprefix(HEADING)
    raise UsageError("the log", f"has {len(text)} characters")


def many_masks(count: int) -> list[str]:
    return [f"gaussian-mask:kappa={index / 1000}" for index in range(count)]


CHECKS: dict[str, Check] = {
    "TABLE_BYTES": lambda folder, _: read_csv(
        str(large_file(folder / "x.csv", 5 * 10**9)), None, GENERATOR
    ),
    "COLUMNS": lambda folder, _: csv(folder, ",".join(f"c{n}" for n in range(20_001)) + ",label\n"),
    "TABLE_ROWS": lambda folder, _: bomb(folder, 10**9, equal_values(10**9, bytes(8))),
    "FOOTER_BYTES": lambda folder, _: checked_texts(
        "x",
        written(folder / "x.parquet", bytes(2**26) + (2**26 - 9).to_bytes(4, "little") + b"PAR1"),
    ),
    "PAGES": lambda folder, patch: (
        few(patch, "PAGES", "targets.arrays.parquet_sizes"),
        bomb(folder, 9, Chunk(data_page(1, b"", 0) * 9, 9, 9)),
    ),
    "FEATURES_OF_TABLE": lambda folder, patch: (
        few(patch, "FEATURES_OF_TABLE", "targets.datasets.tables.features"),
        csv(folder, "x,label\n" + "".join(f"{'abcdef'[n % 6]},{n % 2}\n" for n in range(60))),
    ),
    "CLASSES": lambda *_: draw_synthetic(
        None, GENERATOR, kind="teacher", classes=100_001, size=300_000
    ),
    "IMAGE_FILES": lambda folder, patch: (
        few(patch, "IMAGE_FILES", "targets.datasets.images.files"),
        images(folder, 8),
    ),
    "IMAGE_PIXELS": lambda folder, _: images(folder, 8200),
    "IMAGE_SIDE": lambda folder, _: images(folder, 8, (4097,)),
    "SYNTHETIC_VALUES": lambda *_: draw_synthetic(None, GENERATOR, size=10**8),
    "LAYERS": lambda *_: network("mlp:hidden=" + "x".join(["2"] * 257)),
    "BLOCKS": lambda *_: network("resnet:blocks=201"),
    "WIDTH": lambda *_: network("two-layer:width=1048577"),
    "WEIGHTS": lambda *_: network("mlp:hidden=1000000x1000"),
    "SCHEME_PARTS": lambda *_: study_settings({"schemes": ["+".join(many_masks(21))]}),
    "EPOCHS": lambda *_: Training(epochs=10**6 + 1),
    "BATCH_SIZE": lambda *_: Training(batch_size=10**8 + 1),
    "CLIENTS": lambda *_: Training(clients=10**5 + 1, batch_size=10**6),
    "LOCAL_STEPS": lambda *_: Training(clients=2, local_steps=10**6 + 1),
    "VIEWS": lambda *_: study_settings({"schemes": ["dp-sgd:epsilon=8,views=65"]}),
    "STEPS": lambda *_: plan_privacy(
        DPSGD(noise_multiplier=1.0), Training(epochs=10**6, batch_size=1), 2000
    ),
    "EPSILON": lambda *_: study_settings({"schemes": ["dp-sgd:epsilon=51"]}),
    "NOISE_MULTIPLIER": lambda *_: study_settings({"schemes": ["dp-sgd:noise_multiplier=1000001"]}),
    "POINTS_PLD": points("POINTS_PLD"),
    "POINTS_OF_A_STEP": points("POINTS_OF_A_STEP"),
    "POINTS_PRV": points("POINTS_PRV"),
    "QUERIES": lambda *_: Crops(1001),
    "NOISE_DRAWS": lambda *_: Plain(1001),
    "RESULT_BYTES": result,
    "ARRAYS_BYTES": lambda folder, patch: (
        few(patch, "ARRAYS_BYTES", "reports.arrays"),
        archive(folder, 6),
    ),
    "ARRAYS_RATIO": lambda folder, patch: (
        patch.setattr("mgaudit.reports.arrays.FREE_BYTES", 10**6),
        archive(folder, 10**6 + 1),
    ),
    "SETTINGS_BYTES": lambda folder, _: toml(folder, "#" * 1_000_001),
    "SETTINGS_DEPTH": lambda folder, _: toml(folder, "a" + ".b" * 50 + " = 1"),
    "MODELS": lambda *_: study_settings({"models": 100_001}),
    "ARMS": lambda *_: grid_settings({"schemes": many_masks(1001)}),
    "STUDIES": lambda *_: grid_settings({"schemes": ["none"], "seeds": list(range(501))}),
    "ATTACKS": lambda *_: study_settings({"attacks": ["loss"] * 101}),
    "TRIALS": lambda *_: checked_tuning(10_001, None),
    "REPEATED_RUNS": lambda *_: dp_audit_settings({"runs": 100_001}),
    "DIRECTIONS": lambda *_: dp_audit_settings({"directions": 65_537}),
    "STACK": lambda *_: study_settings({"stack": 4097}),
    "JOBS": lambda *_: checked_jobs(4097),
    "SCORE_ROWS": lambda folder, patch: (
        few(patch, "SCORE_ROWS", "outputs.csv_table"),
        scored(folder),
    ),
    "MEMBERS": lambda *_: example_indices("members", "0:1000000000", 50),
    "LOGGED_BYTES": logged,
}


def test_every_limit_has_a_check() -> None:
    assert CHECKS.keys() == LIMITS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_more_than_the_limit_is_refused_with_the_limit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError) as refused:
        CHECKS[name](tmp_path, monkeypatch)
    most = LIMITS[name].most
    texts = (f"{most:,}", str(most), f"{most:g}", f"at most {FEW} ")  # of Limit, Range and `few`
    assert any(text in str(refused.value) for text in texts), refused.value


@pytest.mark.parametrize("name", LIMITS)
def test_the_line_has_the_rule_the_number_and_a_way_out(name: str) -> None:
    limit = LIMITS[name]
    limit.check("x", limit.most)
    with pytest.raises(UsageError, match=f"got {limit.most + 1:,}") as refused:
        limit.check("x", limit.most + 1)
    assert f"x {limit.rule.format(f'{limit.most:,}')}" in str(refused.value)
    assert limit.way_out in str(refused.value)
    assert limit.way_out


def test_a_limit_is_a_number_and_counts_itself() -> None:
    Limit("must have at most {} columns", 2, "leave some out").check("x", 2)
    with pytest.raises(UsageError, match="x must have at most 2 columns, got 3; leave some out"):
        Limit("must have at most {} columns", 2, "leave some out").check("x", 3)
