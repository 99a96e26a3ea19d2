"""The cases of `fuzz.py`: nasty command lines, settings, study files, data, results and caches.

Each case is determined by its kind, its number and the seed.
"""

import gzip
import io
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Draw = random.Random
SMALL = ("--target", "mlp:hidden=4", "--stack", "1", "--jobs", "1", "--quiet")
TINY_RUN = ("--models", "3", "--examples", "60", "--no-dp", "--epochs", "1", *SMALL)
STUDIES = ("quick", "kappa-sweep", "noise-schemes", "adaptive", "dp-frontier")

NUMBERS = (
    *("0", "-1", "1", "2", "3", "16", "50", "60", "0.5", "1e-300", "5e-324", "1e-16", "1e300"),
    *("1e9", "1e12", "nan", "inf", "-inf", "1e400", "65536", "100000", "1000000", "100000000"),
    *("2147483648", "9223372036854775807", "9223372036854775808", "1" + "0" * 30, "9" * 5000),
    *("0x10", "1_000", "１", "٣", "", " ", "1.5", "-0", "+3", "1e3", "none", "true", "1/3", "²"),
)
WHOLE = ("0", "-1", "1", "2", "3", "7", "64", "1000", "65537", "1000000", "1000000000", "1" * 19)
FLOATS = (
    *("0", "0.3", "0.5", "0.999999999999", "1", "8", "50", "1e-16", "1e-300", "5e-324", "1e300"),
    *("1000000", "0.05", "1e-5", "2"),
)
TEXTS = (
    *(
        "",
        " ",
        "auto",
        "x" * 100_000,
        "../../etc/passwd",
        "/dev/zero",
        "/dev/null",
        "/proc/self/mem",
    ),
    *("fifo", "loop", ".", "/", "~nobody/x", "\udcff\udcfe", "💥", "%s%n", "{}", "{0.__class__}"),
    *("[red]", "a\nb", "\x1b[31m", "\u202e", "sys:exit", "json:loads", "os:getcwd", "no:such"),
    *(
        "math:inf",
        "collections:OrderedDict",
        "io:StringIO",
        "torch.nn:ReLU",
        "a:b:c",
        ":",
        "=",
        ",",
    ),
    *(":=,", "a=b", "--", "-", "/proc/kmsg", "a" * 255, "a/" * 3000, "0", "torch.nn:Flatten"),
)


@dataclass(frozen=True)
class Case:
    """A command line, and the files in its directory by their paths.

    `copies` are folders of the material and their new names. `runs` states that the command trains.
    `read` is called in place of a command.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    copies: tuple[tuple[str, str], ...] = ()
    runs: bool = False
    read: Callable[[], object] | None = None


@dataclass(frozen=True)
class Material:
    """What cases are made of: valid files by name, a run directory and its cache in `folder`."""

    folder: Path
    files: dict[str, bytes]
    studies: dict[str, bytes]

    @classmethod
    def made(cls, folder: Path, with_run: bool) -> "Material":
        """Returns the material; `with_run`, a small audit is run in `folder`."""
        folder.mkdir()
        shipped = Path(__file__).resolve().parent.parent / "studies"
        studies = {name: (shipped / f"{name}.toml").read_bytes() for name in STUDIES}
        if not with_run:
            (folder / "runs").mkdir()
            studies["settings"] = studies[STUDIES[0]]
            return cls(folder, _valid_files(), studies)
        environment = os.environ | {"MGAUDIT_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "mgaudit", "run", *TINY_RUN, "--out", str(folder / "out")]
        subprocess.run(command, check=True, env=environment)
        (run,) = (folder / "out").iterdir()
        (folder / "runs").mkdir()
        run.rename(folder / "runs" / "run")
        for report in ("report.html", "report.pdf"):
            (folder / "runs" / "run" / report).unlink()
        studies["settings"] = (folder / "runs" / "run" / "settings.toml").read_bytes()
        return cls(folder, _valid_files(), studies)

    def case(self, kind: str, number: int, seed: int) -> Case:
        """Returns the case of a kind and number."""
        return CASES[kind](self, Draw(f"{seed} {kind} {number}"))


def _valid_files() -> dict[str, bytes]:
    """Returns small valid data files by name."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 4)).astype(np.float32)
    y = np.arange(60) % 2
    pixels = generator.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    logits = generator.normal(size=(3, 40, 2)).astype(np.float32)
    membership = generator.random((3, 40)) < 0.5
    outputs = {"logits": logits, "labels": np.arange(40) % 2, "membership": membership}
    rows = [f"{a:.3f},{b:.3f},{['no', 'yes'][c]}" for (a, b, *_), c in zip(x, y, strict=True)]
    scores = [f"{s:.3f},{int(m)}" for s, m in zip(logits[0, :, 0], membership[0], strict=True)]
    table = ("\n".join(["a,b,label", *rows]) + "\n").encode()
    return {
        "data.npz": _npz(np.savez, x_train=x, y_train=y, x_test=x + 9, y_test=y),
        "pair.npz": _npz(np.savez_compressed, x=pixels, y=y),
        "table.csv": table,
        "table.csv.gz": gzip.compress(table, mtime=0),
        "outputs.npz": _npz(np.savez, **outputs),
        "scores.csv": "\n".join(["score,member", *scores]).encode(),
        "image.png": _image("PNG"),
        "image.jpg": _image("JPEG"),
        "image.gif": _image("GIF"),
        "image.tif": _image("TIFF"),
        "image.bmp": _image("BMP"),
        "images.gz": gzip.compress(b"\0\0\x08\x03" + _sizes(60, 8, 8) + pixels.tobytes(), mtime=0),
        "weights.safetensors": _weights(),
        "members.npy": _npy(np.arange(30)),
        "members.txt": "\n".join(map(str, range(30))).encode(),
    }


def _npz(save: Callable[..., None], **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _image(kind: str, size: tuple[int, int] = (8, 8), number: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _sizes(*sizes: int) -> bytes:
    return b"".join(size.to_bytes(4, "big") for size in sizes)


def _weights() -> bytes:
    from safetensors.numpy import save

    shapes = {"layers.1.weight": (4, 4), "layers.1.bias": (4,)}
    shapes |= {"layers.3.weight": (2, 4), "layers.3.bias": (2,)}
    return save({name: np.ones(shape, np.float32) for name, shape in shapes.items()})


def mutated(content: bytes, draw: Draw) -> bytes:
    """Returns the content with some bits, bytes, numbers or slices changed."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        place = draw.randrange(len(changed) + 1)
        kind = draw.randrange(9)
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            del changed[place : place + draw.choice((1, 4, 100))]
        elif kind == 2:
            changed[place:place] = draw.randbytes(draw.choice((1, 4, 100)))
        elif kind == 3:
            size = draw.choice((1, 2, 4, 8))
            changed[place : place + size] = draw.choice((b"\xff", b"\0", b"\x7f")) * size
        elif kind == 4:
            changed[place:place] = changed[: draw.choice((10, 1000))]
        elif kind == 5:
            nasty = draw.choice((*NUMBERS[:40], *TEXTS[9:30])).encode("utf-8", "surrogateescape")
            changed[place : place + len(nasty)] = nasty
        elif changed:
            changed[place % len(changed)] ^= 1 << draw.randrange(8)
    return bytes(changed)


# Text values.


def _number(draw: Draw, pool: Sequence[str] = NUMBERS) -> str:
    return draw.choice((*pool, str(draw.randrange(1000)), f"{draw.random():.3g}"))


def _value(draw: Draw) -> str:
    return draw.choice((_number(draw), draw.choice(WHOLE), draw.choice(TEXTS), _widths(draw)))


def _typed(draw: Draw, kind: object) -> str:
    """Returns a value of a type that is extreme, and four times in ten any value."""
    if draw.random() < 0.4:
        return _value(draw)
    if kind is bool:
        return draw.choice(("true", "false"))
    if kind is tuple:
        return _widths(draw)
    if kind is str:
        return draw.choice(TEXTS)
    return draw.choice(WHOLE[2:] if kind is int else FLOATS)


def _type_of(hint: object) -> object:
    """Returns bool, int, float, tuple or str, whichever the text of an annotation has first."""
    text = str(hint)
    names = {"bool": bool, "tuple": tuple, "float": float, "int": int}
    found = [name for name in names if name in text]
    return names[min(found, key=text.index)] if found else str


def _widths(draw: Draw) -> str:
    count = draw.choice((0, 1, 2, 3, 3, 50, 3000))
    return "x".join(draw.choice(WHOLE) for _ in range(count))


def _choice(draw: Draw, registry: Mapping[str, Any]) -> str:
    """Returns a name of a registry with options, most of them nasty."""
    import inspect

    name = draw.choice(list(registry))
    signature = inspect.signature(registry[name])
    parameters = [key for key in signature.parameters if key not in SUPPLIED]
    required = [key for key in parameters if signature.parameters[key].default is inspect._empty]
    chosen = draw.sample(parameters, min(draw.choice((0, 1, 1, 2, 9)), len(parameters)))
    types = {key: _type_of(signature.parameters[key].annotation) for key in parameters}
    keys = dict.fromkeys([*required, *chosen])
    options = ",".join(f"{key}={_typed(draw, types[key])}" for key in keys)
    text = f"{name}:{options}" if options else name
    if draw.random() < 0.15:
        text = f"{name}:{_value(draw)}"
    if draw.random() < 0.05:
        text = draw.choice(TEXTS)
    if draw.random() < 0.02:
        text = "+".join([text] * draw.choice((2, 3, 2000)))
    return text


SUPPLIED = ("input_shape", "classes", "generator", "examples")


def _dataset(draw: Draw) -> str:
    files = ("npz:data.npz", "npz:pair.npz", "csv:table.csv", "csv:table.csv#label", "synthetic")
    drawn = draw.random()
    if drawn < 0.6:
        return draw.choice((*files, "digits"))
    if drawn < 0.8:
        return f"synthetic:{_options(draw, ('kind', 'features', 'classes', 'size', 'separation'))}"
    reader = draw.choice(("npz", "csv", "folder", "parquet", "synthetic"))
    path = draw.choice((*TEXTS, "data.npz", "table.csv", "pair.npz"))
    options = _options(draw, ("test_fraction", "label", "size", "drop", "encoding", "separator"))
    return f"{reader}:{path},{options}"


def _options(draw: Draw, names: Sequence[str]) -> str:
    chosen = draw.sample(names, draw.randint(1, 3))
    return ",".join(f"{name}={_value(draw)}" for name in chosen)


def _setting(draw: Draw, argument: Any) -> str:
    """Returns a value for an argument of a command, nasty or not."""
    from mgaudit.attacks import ATTACKS
    from mgaudit.targets import NETWORKS, QUERIES, SCHEMES

    registries = {"attack": ATTACKS, "target": NETWORKS, "queries": QUERIES, "scheme": SCHEMES}
    if argument.name in registries:
        return _choice(draw, registries[argument.name])
    if argument.name == "dataset":
        return _dataset(draw)
    if argument.values and draw.random() < 0.7:
        return str(draw.choice(argument.values))
    if argument.name == "canaries":
        return f"{draw.choice(('mislabelled', 'natural', 'x'))}:{_value(draw)}"
    return _typed(draw, argument.kind)


def _argv(draw: Draw, arguments: Sequence[Any], most: int = 5) -> list[str]:
    words: list[str] = []
    for argument in draw.sample(list(arguments), draw.randint(1, most)):
        name = "--" + argument.name.replace("_", "-")
        if argument.kind is bool:
            words.append(draw.choice((name, name.replace("--", "--no-"))))
        elif draw.random() < 0.5:
            words += [name, _setting(draw, argument)]
        else:
            words.append(f"{name}={_setting(draw, argument)}")
    return words


def _with_options(words: list[str], options: list[str]) -> list[str]:
    """Returns the words with these options, which replace those of the same name.

    A command refuses most options that are given twice.
    """
    names = {word.partition("=")[0] for word in options}
    kept: list[str] = []
    is_dropped = False
    for word in words:
        is_value = is_dropped and not word.startswith("--")
        is_dropped = word in names
        if not is_value and not is_dropped:
            kept.append(word)
    return [*kept, *options]


def _damaged_words(draw: Draw, words: list[str]) -> list[str]:
    """Returns the words, one in ten times with some missing, doubled or replaced."""
    if draw.random() < 0.1 and words:
        place = draw.randrange(len(words))
        words = [words[:place], words[:place] + words * 2, [*words, draw.choice(TEXTS)]][
            draw.randrange(3)
        ]
    return [word.replace("\0", "") for word in words]


def _command(material: Material, draw: Draw) -> Case:
    from mgaudit.settings.arguments import (
        AUDIT_CHECKPOINT,
        AUDIT_DP,
        COMPARE,
        REPRODUCE,
        RUN,
        SCORE,
    )

    command = draw.choice(("run",) * 5 + ("compare",) * 4 + ("audit-dp",) * 3 + OTHER_COMMANDS)
    words: list[str]
    if command in ("run", "compare", "audit-dp"):
        arguments = {"run": RUN, "compare": COMPARE, "audit-dp": AUDIT_DP}[command]
        words = [command]
        if draw.random() < 0.8:  # so that planning is quick
            words += ["--dataset", "npz:data.npz", "--batch-size", "10", *SMALL[:4]]
        if command == "compare":
            words += draw.choice((["quick"], ["--scheme", "none"], ["settings.toml"], []))
            words += ["--dry-run"]
        words = _with_options(words, _argv(draw, arguments, draw.choice((1, 1, 2, 5))))
    elif command == "audit-checkpoint":
        words = [command, "weights.safetensors", "--dataset", "npz:data.npz", *SMALL[:4]]
        words += ["--members", draw.choice(("0:30", "members.npy", "members.txt", _value(draw)))]
        words = _with_options(words, _argv(draw, AUDIT_CHECKPOINT, draw.choice((1, 3))))
    elif command == "score":
        words = [command, draw.choice(("outputs.npz", "scores.csv", draw.choice(TEXTS)))]
        words += _argv(draw, SCORE, 3)
    elif command == "reproduce":
        words = [command, draw.choice(("noise-nodes", *TEXTS)), *_argv(draw, REPRODUCE, 2)]
    else:
        words = [*command.split(), draw.choice(("run", "latest", "", *TEXTS))]
        options = ("--format", "--out", "--runs", "--attack", "--queries", "--json", "--yes")
        words += [
            word for _ in range(draw.randint(0, 2)) for word in (draw.choice(options), _value(draw))
        ]
    files = {name: material.files[name] for name in COMMAND_FILES}
    files["settings.toml"] = material.studies["settings"]
    copies = (("runs", "runs"),) if command in OTHER_COMMANDS else ()
    return Case(tuple(_damaged_words(draw, words)), files, copies)


COMMAND_FILES = (
    *("data.npz", "pair.npz", "table.csv", "outputs.npz", "scores.csv", "weights.safetensors"),
    *("members.npy", "members.txt"),
)
OTHER_COMMANDS = (
    *("audit-checkpoint", "score", "reproduce", "report", "runs show", "runs", "runs remove"),
    *("runs compare run", "attack", "list", "data list", "data fetch"),
)


# Settings in TOML.


def _toml_value(draw: Draw, depth: int = 0) -> str:
    kind = draw.randrange(25)
    if kind > 8:
        return draw.choice((*WHOLE, *FLOATS))
    if kind < 2:
        return draw.choice((*NUMBERS[:20], "9223372036854775807", "1e400", "0x10", "1_000"))
    if kind < 4:
        return _quoted(_value(draw))
    if kind == 4:
        return draw.choice(("true", "false", "1979-05-27", "07:32:00", "''", "nan", "-inf"))
    if kind == 5 and depth < 3:
        return "[" + ", ".join(_toml_value(draw, depth + 1) for _ in range(draw.randrange(4))) + "]"
    if kind == 6 and depth < 3:
        items = (f"{draw.choice('abc')}{n} = {_toml_value(draw, depth + 1)}" for n in range(2))
        return "{" + ", ".join(items) + "}"
    if kind == 7:
        deep = draw.choice((10, 200, 5000))
        return "[" * deep + "]" * deep
    return _quoted(draw.choice(TEXTS))


def _quoted(text: str) -> str:
    plain = text.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
    escapes = {character: f"\\u{ord(character):04x}" for character in map(chr, range(32))}
    return '"' + "".join(escapes.get(character, character) for character in plain) + '"'


def _settings_toml(draw: Draw, keys: Sequence[str]) -> bytes:
    """Returns a TOML file with some keys, of right and wrong types."""
    from mgaudit.attacks import ATTACKS
    from mgaudit.targets import NETWORKS, QUERIES, SCHEMES

    made: dict[str, Callable[[], str]] = {
        "schemes": lambda: _list(draw, lambda: _choice(draw, SCHEMES)),
        "targets": lambda: _list(draw, lambda: _choice(draw, NETWORKS)),
        "attacks": lambda: _list(draw, lambda: _choice(draw, ATTACKS)),
        "datasets": lambda: _list(draw, lambda: _dataset(draw)),
        "seeds": lambda: "[" + ", ".join(str(draw.randrange(9)) for _ in range(3)) + "]",
        "target": lambda: _quoted(_choice(draw, NETWORKS)),
        "dataset": lambda: _quoted(_dataset(draw)),
        "queries": lambda: _quoted(_choice(draw, QUERIES)),
        "models": lambda: draw.choice(WHOLE),
    }
    lines = []
    for key in draw.sample(list(keys), draw.randint(1, 6)):
        value = made[key]() if key in made and draw.random() < 0.75 else _toml_value(draw)
        lines.append(f"{key} = {value}")
    lines += draw.choice((draw.choice(NASTY_TABLES), [], [], []))
    return "\n".join(lines).encode()


def _mutated_toml(content: bytes, draw: Draw) -> bytes:
    """Returns a TOML file with other values, or mutated as any other file."""
    if draw.random() < 0.3:
        return mutated(content, draw)
    text = content.decode()
    for _ in range(draw.choice((1, 1, 2, 4))):
        values = list(
            re.finditer(r"(?<==) *([^\n\[\]{}=]+)$|(?<=[\[,]) *[^,\[\]]+", text, re.MULTILINE)
        )
        value = draw.choice(values)
        text = f"{text[: value.start()]} {_toml_value(draw)} {text[value.end() :]}"
    return text.encode("utf-8", "replace")


def _list(draw: Draw, item: Callable[[], str]) -> str:
    count = draw.choice((1, 2, 3))
    repeated = draw.choice((1, 1, 1, 1, 1, 1000))
    return "[" + ", ".join([_quoted(item()) for _ in range(count)] * repeated) + "]"


NASTY_TABLES = (
    ["[training]", "epochs = 1000000000000"],
    ["[training]", 'optimizer = ["sgd"]', "epochs = nan"],
    ["[[arms]]", 'scheme = "gaussian-mask"', f"kappa = [{', '.join(map(str, range(3000)))}]"],
    ["[[arms]]", 'scheme = "dropout"', "rate = [0.1, 0.1]", "fixed = [true, false]"],
    ["[[arms]]", 'scheme = "dp-sgd"', "epsilon = {a = 1}"],
    ["[[arms]]", f"note = {{a{'.b' * 3000} = 1}}"],
    ["a" + ".b" * 20_000 + " = 1"],
    ["x = " + "[" * 3000 + "]" * 3000],
    ["x = " + "{a=" * 3000 + "1" + "}" * 3000],
    ["[" + ".".join("a" * 5000) + "]"],
    ["[notes]", "none = 3"],
    ["[stacks]", '"x on y" = 1'],
    ["[searches]", "x = {none = 1}"],
)


def _settings(material: Material, draw: Draw) -> Case:
    keys = ("models", "seed", "examples", "schemes", "dataset", "target", "attacks", "queries")
    keys += ("device", "stack", "duplicates", "held_out", "searches", "canaries", "training")
    content = _settings_toml(draw, keys)
    if draw.random() < 0.3:
        content = _mutated_toml(material.studies["settings"], draw)
    command = draw.choice((["run"], ["run", *TINY_RUN[:4]], ["audit-dp"], ["compare"]))
    option = [] if command == ["compare"] else ["--settings"]
    dry = ["--dry-run"] if command == ["compare"] else []
    words = [*command, *option, "s.toml", *dry, "--jobs", "1"]
    if command[0] == "run" and draw.random() < 0.7:
        words += ["--dataset", "npz:data.npz"]
    return Case(tuple(words), {"s.toml": content, "data.npz": material.files["data.npz"]})


def _study(material: Material, draw: Draw) -> Case:
    keys = ("title", "note", "dataset", "datasets", "target", "targets", "seed", "seeds", "models")
    keys += ("attacks", "queries", "schemes", "arms", "notes", "stacks", "training", "canaries")
    if draw.random() < 0.6:
        content = _mutated_toml(material.studies[draw.choice((*STUDIES, "settings"))], draw)
    else:
        content = _settings_toml(draw, keys)
    words = ["compare", "study.toml", "--dry-run", "--jobs", "1", "--stack", "1"]
    if draw.random() < 0.7:
        words += ["--dataset", "npz:data.npz", "--target", "mlp:hidden=4", "--batch-size", "10"]
    files = {"study.toml": content, "data.npz": material.files["data.npz"]}
    if draw.random() < 0.1:
        words, files = ["list", "studies"], {"studies/x.toml": content}
    return Case(tuple(words), files)


# Data files.


def _data(material: Material, draw: Draw) -> Case:
    name = draw.choice(list(material.files))
    content = mutated(material.files[name], draw)
    plan = ("run", *SMALL[:4], "--no-dp", "--models", "3", "--dataset")
    files = {name: content}
    if name.startswith("image."):
        suffix = name.removeprefix("image.")
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
        others = {f"f/{'ab'[n % 2]}/{n}.{suffix}": _image(kind, number=n) for n in range(60)}
        odd_name = draw.choice(("x", "x\udce9", "a\n", "=1+1", "\x1b[31m", "💥", "x" * 200))
        files = {**others, f"f/a/{odd_name}.{suffix}": content}
        return Case((*plan, "folder:f"), files)
    if name == "images.gz":
        return Case((), files, read=_read_images)
    if name in ("outputs.npz", "scores.csv"):
        return Case(("score", name), files)
    if name.startswith(("weights", "members")):
        others = {"data.npz": material.files["data.npz"], **{
            other: material.files[other] for other in ("weights.safetensors", "members.npy")
        }}  # fmt: skip
        members = name if name.startswith("members") else "members.npy"
        words = ("audit-checkpoint", "weights.safetensors", "--dataset", "npz:data.npz")
        words += ("--members", members, *SMALL[:4])
        return Case(words, {**others, **files})
    reader = "npz" if name.endswith("npz") else "csv"
    return Case((*plan, f"{reader}:{name}"), files)


def _read_images() -> object:
    from mgaudit.targets.datasets.idx import IMAGES_MAGIC, read_idx

    return read_idx(Path("images.gz"), IMAGES_MAGIC, (60, 8, 8))


# Results and caches.


def _result(material: Material, draw: Draw) -> Case:
    name = draw.choice(
        ("result.json", "result.json", "arrays.npz", "settings.toml", ".mgaudit-run")
    )
    content = mutated((material.folder / "runs" / "run" / name).read_bytes(), draw)
    if draw.random() < 0.2:
        content = draw.choice(NASTY_RESULTS)
    if name == "result.json" and draw.random() < 0.4:
        content = _changed_json((material.folder / "runs" / "run" / name).read_bytes(), draw)
    words = draw.choice((
        ("report", "run", "--format", "csv"), ("report", "run", "--format", "latex"),
        ("report", "run", "--format", "html"), ("runs",), ("runs", "show", "run"),
        ("runs", "compare", "run", "run"), ("attack", "run", "--attack", "loss"),
        ("runs", "remove", "run", "--yes"), ("runs", "--json"),
        ("run", "--settings", "runs/run/settings.toml", "--dataset", "npz:data.npz"),
    ))  # fmt: skip
    files = {f"runs/run/{name}": content, "data.npz": material.files["data.npz"]}
    return Case(words, files, (("runs", "runs"), ("cache", "cache")))


NASTY_RESULTS = (
    *(b"", b"{}", b"null", b"[]", b'{"studies": []}', b'{"studies": [{}]}', b"\xff\xfe", b"1e400"),
    *(b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'"' + b"x" * 10_000_000 + b'"'),
    *(b"9" * 100_000, b"\0" * 1000, b'{"studies": {"a": 1}, "title": 3}'),
)


def _changed_json(content: bytes, draw: Draw) -> bytes:
    """Returns a result in which one value has another type or size."""
    import json

    values = json.loads(content)
    node = values
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw.choice(keys)
        is_deep = isinstance(node[key], dict | list) and len(node[key]) > 0
        if not is_deep or draw.random() < 0.1:
            break
        node = node[key]
    nasty = (None, [], {}, "x", -1, 10**30, 1e308, float("nan"), True, "\ud800", [[[]]], "=1+1")
    node[key] = draw.choice(nasty)
    if isinstance(node, dict) and draw.random() < 0.3:
        del node[key]
    return json.dumps(values).encode()


def _cache(material: Material, draw: Draw) -> Case:
    files = sorted(path for path in (material.folder / "cache").rglob("*") if path.is_file())
    chosen = draw.choice([path for path in files if path.name != ".lock"])
    content = mutated(chosen.read_bytes(), draw)
    if draw.random() < 0.1:
        content = draw.choice(NASTY_RESULTS)
    name = str(chosen.relative_to(material.folder))
    words = ("run", *TINY_RUN) if draw.random() < 0.7 else ("attack", "run", "--attack", "loss")
    copies = (("cache", "cache"), ("runs", "runs"))
    return Case(words, {name: content}, copies, runs=True)


# Which part of the option of `fuzz.py` a kind of case takes.
GENERATORS = {
    "command": ("commands", 0.7),
    "settings": ("commands", 0.3),
    "data": ("data", 0.5),
    "result": ("data", 0.4),
    "cache": ("data", 0.1),
    "study": ("studies", 1.0),
}
OF_RUNS = ("result", "cache")
CASES: dict[str, Callable[[Material, Draw], Case]] = {
    "command": _command,
    "settings": _settings,
    "data": _data,
    "result": _result,
    "cache": _cache,
    "study": _study,
}
