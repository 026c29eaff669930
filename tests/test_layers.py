"""The house rules, read from the code itself: who may import whom, what `provenance` may touch, how long things are."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("provenance", "store", "pipelines")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MODULE_LINES = 400
FUNCTION_LINES = 60

KERNEL_LIBRARIES = {
    "brotli",
    "cryptography",
    "datasketch",
    "fasttext",
    "lxml",
    "msgspec",
    "numba",
    "numpy",
    "pyarrow",
    "resiliparse",
    "rfc3161_client",
    "trafilatura",
    "turbohtml",
    "xxhash",
    "yaml",
    "zstandard",
}
"""What `provenance` may import beside the standard library: arrays, configuration and the libraries that kernels wrap."""

IMPURE = {
    "asyncio", "ctypes", "fileinput", "ftplib", "getpass", "glob", "http", "mmap", "multiprocessing", "os", "platform",
    "pyarrow.csv", "pyarrow.dataset", "pyarrow.feather", "pyarrow.fs", "pyarrow.json", "pyarrow.orc", "pyarrow.parquet",
    "secrets", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "time", "urllib.request", "uuid",
}  # fmt: skip
"""Modules whose purpose is files, processes, the network, the clock, the environment or chance."""

CLOCK = {"now", "utcnow", "today"}
FILE_METHODS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "OSFile", "memory_map", "iterdir", "glob", "rglob"}
SEEDED = {"Random", "RandomState", "default_rng", "Generator", "PCG64", "Philox", "SeedSequence"}

SLOW_TO_LOAD = {
    "apache_beam",
    "cryptography",
    "datasketch",
    "duckdb",
    "matplotlib",
    "numba",
    "pandas",
    "scipy",
    "torch",
    "transformers",
}
"""None of these may be loaded before the verb is known; `--help` answers under half a second without them."""


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Every dotted name that a module imports, wherever it stands; `from a import b` gives `a.b`, relative names in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(name: str, modules: set[str]) -> bool:
    """Whether a dotted name is one of `modules` or lies inside one."""
    parts = name.split(".")
    return any(".".join(parts[: n + 1]) in modules for n in range(len(parts)))


def import_violations(tree: ast.AST, package: str) -> Iterator[str]:
    """pipelines -> store -> provenance.schema, provenance.identity; pipelines -> provenance; Beam only in pipelines."""
    layer = package.split(".")[0]
    for line, name in imports(tree, package):
        top = name.split(".")[0]
        if top == "tests":
            yield f"{line}: library code imports {name}"
        if layer == "provenance":
            if top in ("store", "pipelines"):
                yield f"{line}: provenance imports {name}"
            elif within(name, IMPURE):
                yield f"{line}: provenance is pure, and {name} is not"
            elif top not in sys.stdlib_module_names and top not in KERNEL_LIBRARIES and top != "provenance":
                yield f"{line}: provenance imports {name}, which is neither standard nor a kernel's library"
        elif layer == "store":
            if top in ("pipelines", "apache_beam"):
                yield f"{line}: store imports {name}"
            if top == "provenance" and not within(name, {"provenance.schema", "provenance.identity"}):
                yield f"{line}: store imports {name}; it may know provenance.schema and provenance.identity only"


def dotted(node: ast.expr) -> str:
    """`a.b.c` of nested attributes; what is no name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def purity_violations(tree: ast.AST) -> Iterator[str]:
    """Files, the clock, the environment and unseeded randomness inside `provenance`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            yield f"{node.lineno}: reads the environment"
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        last = name.split(".")[-1]
        method = isinstance(node.func, ast.Attribute)
        if name == "open" or (method and last in FILE_METHODS):
            yield f"{node.lineno}: {name}() opens a file"
        if method and last in CLOCK:
            yield f"{node.lineno}: {name}() reads the clock"
        chance = name.startswith("random.") or ".random." in name
        if chance and not (last in SEEDED and (node.args or node.keywords)):
            yield f"{node.lineno}: {name}() is not seeded"


def caught(handler: ast.ExceptHandler) -> set[str]:
    """Names of what a handler catches; a bare `except` catches BaseException."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {dotted(kind).split(".")[-1] if kind else "BaseException" for kind in kinds}


def reraises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising, so that nothing is swallowed."""
    return isinstance(handler.body[-1], ast.Raise)


def except_violations(tree: ast.AST, lines: list[str]) -> Iterator[str]:
    """A broad `except` raises again, or says beside it whose code may raise anything; KeyboardInterrupt always passes,
    SystemExit too unless the reason names it."""
    for block in ast.walk(tree):
        if not isinstance(block, ast.Try | ast.TryStar):
            continue
        spared: set[str] = set()
        for handler in block.handlers:
            kinds = caught(handler)
            if reraises(handler):
                spared |= kinds
            elif kinds & {"Exception", "BaseException"}:
                _, _, reason = lines[handler.lineno - 1].partition("#")
                if not reason:
                    yield f"{handler.lineno}: a broad except without the reason beside it"
                named = {"SystemExit"} if "SystemExit" in reason else set()
                if "BaseException" in kinds and not {"KeyboardInterrupt", "SystemExit"} <= spared | named:
                    yield f"{handler.lineno}: swallows KeyboardInterrupt and SystemExit"


def shape_violations(tree: ast.AST, lines: list[str]) -> Iterator[str]:
    """Lengths, and no `assert` as validation."""
    if len(lines) > MODULE_LINES:
        yield f"1: {len(lines)} lines, at most {MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: assert in library code"


def violations(source: str, package: str) -> list[str]:
    """All that is wrong with a module of `package` (dotted, such as `store.readers`), as `line: what`."""
    tree, lines = ast.parse(source), source.splitlines()
    found = [*import_violations(tree, package), *except_violations(tree, lines), *shape_violations(tree, lines)]
    if package.split(".")[0] == "provenance":
        found += purity_violations(tree)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_keeps_the_house_rules(path: Path) -> None:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    assert violations(path.read_text(), package) == []


def test_every_package_has_modules() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)


@pytest.mark.parametrize(
    ("package", "source", "expected"),
    [
        ("provenance", "import apache_beam as beam", "neither standard nor"),
        ("provenance", "def f():\n    import duckdb", "neither standard nor"),
        ("provenance", "from store import files", "provenance imports store.files"),
        ("provenance.signals", "from ...store import files", "provenance imports"),
        ("provenance", "import os", "os is not"),
        ("provenance", "import pyarrow.parquet as pq", "pyarrow.parquet is not"),
        ("provenance", "from pyarrow import parquet", "pyarrow.parquet is not"),
        ("provenance", "from urllib import request", "urllib.request is not"),
        ("provenance", "x = open('a')", "opens a file"),
        ("provenance", "x = Path('a').read_text()", "opens a file"),
        ("provenance", "from datetime import datetime\nx = datetime.now()", "reads the clock"),
        ("provenance", "import random\nx = random.random()", "not seeded"),
        ("provenance", "import random\nx = random.Random()", "not seeded"),
        ("provenance", "import numpy as np\nx = np.random.default_rng()", "not seeded"),
        ("provenance", "import numpy as np\nx = np.random.permutation(9)", "not seeded"),
        ("provenance", "x = sys.modules['o'].environ", "environment"),
        ("store", "import apache_beam", "store imports apache_beam"),
        ("store", "from provenance import minhash", "store imports provenance.minhash"),
        ("store.shards", "from provenance.floor import Schedule", "store imports provenance.floor"),
        ("store", "def f():\n    from pipelines import cli", "store imports pipelines.cli"),
        ("pipelines", "from tests import bench", "imports tests"),
        ("pipelines", "assert True", "assert"),
        ("pipelines", "def f():\n" + "    x = 1\n" * 60, "61 lines"),
        ("pipelines", "x = 1\n" * 401, "401 lines"),
        ("store", "try:\n    f()\nexcept Exception:\n    pass", "without the reason"),
        ("store", "try:\n    f()\nexcept (OSError, Exception):\n    pass", "without the reason"),
        ("store", "try:\n    f()\nexcept BaseException:  # why\n    pass", "KeyboardInterrupt"),
        (
            "store",
            "try:\n    f()\nexcept SystemExit:\n    raise\nexcept BaseException:  # SystemExit too\n    pass",
            "KeyboardInterrupt",
        ),
        ("store", "try:\n    f()\nexcept:  # why\n    pass", "KeyboardInterrupt"),
    ],
)
def test_a_violation_is_seen(package: str, source: str, expected: str) -> None:
    assert any(expected in found for found in violations(source, package))


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("provenance", "import hashlib, datetime\nfrom urllib.parse import urlsplit\nimport numpy as np, pyarrow as pa"),
        ("provenance", "import random, numpy as np\nx = random.Random(7)\ny = np.random.default_rng(seed=7)"),
        ("provenance.signals", "from provenance.schema import EVIDENCE\nfrom .. import identity"),
        ("store.readers", "from provenance import schema, identity\nfrom provenance.identity import key\nx = open('a')"),
        ("pipelines", "import apache_beam\nfrom store import files\nfrom provenance import minhash"),
        ("store", "try:\n    f()\nexcept Exception:  # the foreign parser may raise anything\n    pass"),
        ("store", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
        ("store", "try:\n    f()\nexcept (KeyboardInterrupt, SystemExit):\n    raise\nexcept BaseException:  # why\n    pass"),
    ],
)
def test_what_is_allowed_passes(package: str, source: str) -> None:
    assert violations(source, package) == []


@pytest.mark.parametrize("arguments", [None, ["--help"], ["curate", "--help"]], ids=["import", "help", "verb-help"])
def test_the_command_line_starts_light(arguments: list[str] | None) -> None:
    program = (
        "import contextlib, io, json, sys\n"
        "import pipelines.cli\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    {f'pipelines.cli.main({arguments!r})' if arguments else 'pass'}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "pipelines" in loaded
    assert loaded & SLOW_TO_LOAD == set()
