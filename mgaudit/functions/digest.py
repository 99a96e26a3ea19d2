"""The SHA-256 of a training function: its code and every value that the code refers to.

Two functions have the same digest only if they do the same in this version of Python. The digest
contains the bytecode of the function and of the user's own functions, classes and modules that it
refers to, its closure, defaults and global values, and the versions of installed packages.
Comments and line numbers are not part of it.
"""

import dis
import enum
import hashlib
import importlib
import logging
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import Any

import numpy as np

from mgaudit.functions.rows import as_array, is_frame, is_sparse, is_tensor

# Values whose repr says everything.
PLAIN_TYPES = (NoneType, bool, int, float, complex, str, bytes, range, slice, type(Ellipsis))

# Attributes of a class that do not change what its instances do, or repeat other attributes.
NO_PART_OF_A_CLASS = (
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__annotations__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__static_attributes__",
    "__firstlineno__",
    "__abstractmethods__",
    "_abc_impl",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__slotnames__",
)
DESCRIPTORS_OF_SLOTS = ("member_descriptor", "getset_descriptor")

# Objects that give other numbers at each call, and the packages that they are from.
GENERATORS = ("Generator", "RandomState", "BitGenerator", "Random")
PACKAGES_OF_GENERATORS = ("numpy", "random", "_random", "torch")

READS_A_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
READS_AN_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")
OWN_CODE_NAMES = ("__main__", "__mp_main__")


class NotDigestibleError(Exception):
    """A value has no digest, because its state cannot be read. The message names the value."""


def digest(value: object) -> str:
    """Returns the SHA-256 of a value: a function, data, or anything that they refer to.

    Raises NotDigestibleError for a value such as a lock, an open file or a random generator.
    """
    try:
        return _Walk().digest(value).hex()
    except RecursionError as error:
        raise NotDigestibleError("its values are nested too deeply") from error


class _Walk:
    """A walk over a value and all values in it, each of which is digested once.

    Whether two equal values are one object does not change a digest, because Python shares
    constants differently when it reads a compiled file.
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._digests: dict[int, bytes] = {}
        self._open: dict[int, int] = {}  # the values that contain the present one, by id
        self._kept: list[object] = []  # so that no other object gets the id of one that was seen

    def digest(self, value: Any) -> bytes:
        """Returns the SHA-256 of a value, with its type and everything in it."""
        key = id(value)
        if key in self._digests:
            return self._digests[key]
        outer, self._sha = self._sha, hashlib.sha256()
        self._open[key] = len(self._open)
        self._kept.append(value)
        try:
            self._described(value)
            self._digests[key] = self._sha.digest()
        finally:
            del self._open[key]
            self._sha = outer
        return self._digests[key]

    def _add(self, value: Any) -> None:
        """Adds a value to the digest of the value that contains it."""
        if type(value) in PLAIN_TYPES:
            self._words(type(value).__qualname__, repr(value))
        elif id(value) in self._open:
            self._words("cycle", str(len(self._open) - self._open[id(value)]))
        else:
            self._sha.update(self.digest(value))

    def _words(self, *words: str) -> None:
        """Adds texts, each with its length, so that different texts never give equal bytes."""
        for word in words:
            content = word.encode("utf-8", "surrogatepass")
            self._sha.update(b"%d:" % len(content) + content)

    def _described(self, value: Any) -> None:
        for kinds, describe in self._KINDS:
            if isinstance(value, kinds):
                describe(self, value)
                return
        if is_tensor(value):
            self._words("tensor", str(value.dtype))
            self._array(as_array(value))
        elif is_sparse(value):
            self._sparse(value)
        elif is_frame(value):
            self._frame(value)
        else:
            self._object(value)

    def _plain(self, value: Any) -> None:
        self._words(type(value).__qualname__, repr(value))

    def _each(self, kind: str, values: Iterable[Any]) -> None:
        items = list(values)
        self._words(kind, str(len(items)))
        for item in items:
            self._add(item)

    def _list(self, values: Any) -> None:
        self._class_of(values)
        self._each("items", values)

    def _set(self, values: Any) -> None:
        self._class_of(values)
        self._words(*sorted(self.digest(item).hex() for item in values))

    def _mapping(self, values: Mapping[Any, Any]) -> None:
        self._class_of(values)
        self._each("keys", values.keys())
        self._each("values", values.values())

    def _array(self, values: Any) -> None:
        array = np.asarray(values)
        self._words("array", array.dtype.str, str(array.dtype.descr), str(array.shape))
        if array.dtype.hasobject:
            self._each("items", array.ravel().tolist())
        else:
            self._sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def _sparse(self, values: Any) -> None:
        rows = values.tocsr().sorted_indices()
        self._words("sparse", values.format)
        self._each("csr", (rows.shape, rows.data, rows.indices, rows.indptr))

    def _frame(self, values: Any) -> None:
        """Adds a DataFrame or Series: its index and, one after the other, its columns."""
        self._words(type(values).__qualname__)
        frame = values.to_frame() if values.ndim == 1 else values
        self._array(frame.index.to_numpy())
        for position in range(frame.shape[1]):
            column = frame.iloc[:, position]
            self._words(str(column.name), str(column.dtype))
            self._array(column.to_numpy())

    def _function(self, function: FunctionType) -> None:
        is_own = _is_own(function.__module__)
        if not is_own and "<" not in function.__qualname__:
            self._installed(function)
            return
        self._code(function.__code__)
        self._each("defaults", function.__defaults__ or ())
        self._mapping(function.__kwdefaults__ or {})
        self._each("closure", [_content(cell) for cell in function.__closure__ or ()])
        self._mapping(vars(function))
        if not is_own:
            self._installed(function)
            return
        for path, value in _global_values(function):
            self._words("global", path)
            self._add(value)
        for name in sorted(_imported_names(function.__code__)):
            self._import(name, function.__globals__.get("__package__"))

    def _import(self, name: str, package: str | None) -> None:
        """Adds a module that a function imports while it runs."""
        self._words("import", name)
        for candidate in (name, f"{package}.{name}".rstrip(".")):
            try:
                module = importlib.import_module(candidate)
            except Exception:  # a function may try an import that fails
                continue
            self._add(module)
            return
        self._words("absent")

    def _code(self, code: CodeType) -> None:
        self._words("code", code.co_code.hex(), code.co_exceptiontable.hex())
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        self._words(repr(counts), repr(names))
        self._each("constants", code.co_consts)

    def _bound_method(self, method: MethodType) -> None:
        self._each("method", (method.__func__, method.__self__))

    def _partial(self, value: "partial[Any]") -> None:
        self._each("partial", (value.func, value.args, value.keywords))

    def _static(self, value: Any) -> None:
        self._class_of(value)
        self._add(value.__func__)

    def _property(self, value: property) -> None:
        self._each("property", (value.fget, value.fset, value.fdel))

    def _builtin(self, function: BuiltinFunctionType) -> None:
        owner = function.__self__
        if owner is None or isinstance(owner, ModuleType):
            self._installed(function)
        else:
            self._each(function.__name__, (owner,))

    def _class(self, kind: type) -> None:
        if not _is_own(kind.__module__):
            self._installed(kind)
            return
        self._words("class", kind.__qualname__)
        self._each("bases", kind.__bases__)
        for name, value in vars(kind).items():
            if name not in NO_PART_OF_A_CLASS and type(value).__name__ not in DESCRIPTORS_OF_SLOTS:
                self._words(name)
                self._add(value)

    def _class_of(self, value: object) -> None:
        self._add(type(value))

    def _module(self, module: ModuleType) -> None:
        """Adds an installed module by its version, and an own one by its file and its values."""
        if not _is_own(module.__name__):
            self._words("module", module.__name__, package_version(module.__name__))
            return
        self._words("own module", module.__name__)
        file = getattr(module, "__file__", None)
        if file is None:
            raise NotDigestibleError(f"the module {module.__name__} has no file")
        self._sha.update(Path(file).read_bytes())
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                self._words(name)
                with suppress(NotDigestibleError):  # the file says how the value is made
                    self._add(value)

    def _enum(self, value: enum.Enum) -> None:
        self._class_of(value)
        self._words(value.name)

    def _path(self, value: PurePath) -> None:
        self._words("path", str(value))

    def _logger(self, value: logging.Logger) -> None:
        self._words("logger", value.name)

    def _dtype(self, value: "np.dtype[Any]") -> None:
        self._words("dtype", value.str, str(value.descr))

    def _installed(self, value: Any) -> None:
        """Adds a class or function of an installed package by its name and version."""
        module = getattr(value, "__module__", None) or "builtins"
        name = getattr(value, "__qualname__", None) or value.__name__
        self._words("installed", module, name, package_version(module))

    def _object(self, value: Any) -> None:
        """Adds any other object: its class and the state with which it could be copied."""
        if _is_generator(value):
            raise NotDigestibleError(
                f"{_name(value)} lives outside the function; make it inside, from seed"
            )
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            self._each("wrapper", (type(value), wrapped))
            return
        if type(value).__module__ == "torch":  # torch.float32, torch.device("cpu")
            self._words("torch", repr(value), package_version("torch"))
            return
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise NotDigestibleError(f"{_name(value)} has a state that cannot be read") from error
        self._class_of(value)
        if isinstance(reduced, str):
            self._words("named", reduced)
            return
        rebuild, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        self._each("object", (rebuild, arguments, state))
        self._each("items", items or ())
        self._each("pairs", pairs or ())

    # The first kind that a value is an instance of describes it.
    _KINDS: tuple[tuple[Any, Callable[["_Walk", Any], None]], ...] = (
        (enum.Enum, _enum),
        (np.generic, _array),
        (np.ndarray, _array),
        (np.dtype, _dtype),
        (list | tuple, _list),
        (set | frozenset, _set),
        (dict | MappingProxyType, _mapping),
        (FunctionType, _function),
        (MethodType, _bound_method),
        (partial, _partial),
        (staticmethod | classmethod, _static),
        (property, _property),
        (BuiltinFunctionType, _builtin),
        (type, _class),
        (ModuleType, _module),
        (CodeType, _code),
        (PLAIN_TYPES, _plain),
        (PurePath, _path),
        (logging.Logger, _logger),
    )


def _name(value: object) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"an object of {module}{kind.__qualname__}"


def _content(cell: Any) -> Any:
    """Returns the value of a variable of a closure, or a text for one that has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _is_generator(value: object) -> bool:
    for base in type(value).__mro__:
        package = base.__module__.partition(".")[0]
        if base.__name__ in GENERATORS and package in PACKAGES_OF_GENERATORS:
            return True
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yields the code of a function and of all functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _global_values(function: FunctionType) -> list[tuple[str, Any]]:
    """Returns the global values that a function reads, by name, sorted.

    Of a module of the user's own, only the attributes that the code reads are returned, as in
    `networks.train`.
    """
    values: dict[str, Any] = {}
    for code in _codes(function.__code__):
        instructions = list(dis.get_instructions(code))
        for position, instruction in enumerate(instructions):
            name = str(instruction.argval)
            if instruction.opname not in READS_A_GLOBAL or name not in function.__globals__:
                continue
            value, path = function.__globals__[name], name
            for following in instructions[position + 1 :]:
                attribute = str(following.argval)
                is_read = following.opname in READS_AN_ATTRIBUTE and hasattr(value, attribute)
                if not (is_read and isinstance(value, ModuleType) and _is_own(value.__name__)):
                    break
                value, path = getattr(value, attribute), f"{path}.{attribute}"
            values[path] = value
    return sorted(values.items(), key=lambda item: item[0])


def _imported_names(code: CodeType) -> set[str]:
    """Returns the names of modules that the code imports while it runs."""
    return {
        str(instruction.argval)
        for inner in _codes(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname == "IMPORT_NAME"
    }


@cache
def _installed_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(paths[name]).resolve() for name in names})


def _is_own(module_name: str | None) -> bool:
    """Returns whether a module is the user's own: neither installed nor part of Python."""
    if module_name is None:
        return True
    if module_name in OWN_CODE_NAMES:
        return True
    root = module_name.partition(".")[0]
    if root in sys.builtin_module_names or root in sys.stdlib_module_names or root == "mgaudit":
        return False
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if file is None:
        return module is None or not hasattr(module, "__path__")
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _installed_folders())


@cache
def package_version(module_name: str) -> str:
    """Returns the version of the package of a module; that of Python for its standard library."""
    root = module_name.partition(".")[0]
    if root in sys.stdlib_module_names or root in OWN_CODE_NAMES:
        return sys.version
    stated = getattr(sys.modules.get(root), "__version__", None)
    if isinstance(stated, str):
        return stated
    try:
        return version(root)
    except PackageNotFoundError:
        return "unknown"
