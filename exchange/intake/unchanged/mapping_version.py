"""The version of a mapping: a text that differs when the code that makes records of rows may make others.

It is made of the schema's id, of every file in the folder of the connector's module, of the modules of its own
top-level package that it imports (through others, too, and inside of functions), of the packages from elsewhere that
these import, and of the exchange itself. Python's own library goes by Python's version. What a mapping reads besides (a
file elsewhere, the clock, the environment) no version tells: a mapping is a function of its row.
"""

import ast
import marshal
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import exchange
from exchange.connect.declare import Source
from exchange.names import SchemaId

_VERSION_BYTES = 16
_CODE = (".py", ".so", ".pyd")
_LARGEST = 64 * 1024 * 1024
"""Bytes of a file whose content counts; a larger one goes by its size and time."""


def version_of(source: Source, schema_id: SchemaId) -> str:
    """The version of a source's mapping under a schema."""
    digest = blake2b(f"{schema_id} {sys.version}".encode(), digest_size=_VERSION_BYTES)
    function = source.map
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        digest.update(marshal.dumps(code.replace(co_filename=""), 2))
    for path in sorted(_files(getattr(function, "__module__", None) or "")):
        content = _content(path)
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """What a file holds, or what can be told of one that is large or cannot be read."""
    try:
        status = path.stat()
        if status.st_size <= _LARGEST:
            return path.read_bytes()
    except OSError:
        return b""
    return f"{status.st_size} {status.st_mtime_ns}".encode()


def _files(module: str) -> set[Path]:
    """Every file on which a mapping of the module depends."""
    files = set(_tree(Path(exchange.__file__).parent, _is_code))
    own = _origin(module)
    if own is None:
        return files
    top = module.partition(".")[0]
    if top != module:
        files.update(_tree(own.parent, _is_kept))
    mine, others = _reached(module, top)
    files.update(path for path in map(_origin, mine) if path is not None)
    for other in others:
        origin = _origin(other)
        if origin is not None:
            files.update(_tree(origin.parent, _is_code) if origin.stem == "__init__" else [origin])
    return files


def _reached(module: str, top: str) -> tuple[set[str], set[str]]:
    """The modules of the top-level package that a module imports, itself first, and the packages from elsewhere."""
    mine, others, rest = set[str](), set[str](), [module]
    while rest:
        name = rest.pop()
        origin = _origin(name)
        if name in mine or origin is None:
            continue
        mine.add(name)
        parents = name.split(".")[:-1]
        rest += [".".join(parents[:length]) for length in range(1, len(parents) + 1)]
        for imported in _imported(origin, name):
            outside = imported.partition(".")[0]
            if outside == top:
                rest.append(imported)
            elif outside != "exchange" and outside not in sys.stdlib_module_names:
                others.add(outside)
    return mine, others


def _imported(file: Path, name: str) -> Iterator[str]:
    """What the source of a module imports: of `from a import b` both `a` and `a.b`, which may be a module."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _origin(module: str) -> Path | None:
    """The file of a module, or None when there is no such module, or no file of it."""
    loaded = sys.modules.get(module)
    found = getattr(loaded, "__file__", None)
    if loaded is None and module:
        try:
            spec = find_spec(module)
        except Exception:  # a package around it is loaded for this, and may raise anything
            return None
        found = spec.origin if spec is not None and spec.has_location else None
    path = Path(found) if found else None
    return path if path is not None and path.is_file() else None


def _tree(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and wanted(path))


def _is_code(path: Path) -> bool:
    return path.suffix in _CODE


def _is_kept(path: Path) -> bool:
    """Whatever lies beside a connector may be a table of codes that it reads; what Python compiles is none."""
    return path.suffix != ".pyc"
