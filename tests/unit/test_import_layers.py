"""Dependencies point one way: who may import whom, read from the source of every module.

The packages near the top of the table know nothing of those below them. A new folder has to be added here on purpose.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "operator" / "splai"

DECISIONS = {"api", "core", "engines", "resilience", "artifacts", "history", "outputs"}
MAY_IMPORT: dict[str, set[str]] = {
    "api": set(),
    "garbage": set(),
    "logs": set(),
    "serving": set(),
    "signals": set(),
    "tracing": set(),
    "url_guard": set(),
    "engines": {"api"},
    "resilience": {"api"},
    "artifacts": {"api", "logs", "serving", "signals"},
    "history": {"api", "artifacts"},
    "outputs": {"api"},
    "core": {"api", "engines"},
    "providers": {"api"},
    "adapter": {"api", "providers", "logs", "serving", "signals", "url_guard"},
    "inputs": {"api", "core", "resilience", "artifacts", "url_guard"},
    "workflows": {"api", "logs", "serving", "signals"},
    "kube": DECISIONS,
    "weights": {"api", "inputs", "logs"},
    "worker": DECISIONS | {"garbage", "inputs", "logs", "signals", "tracing"},
    "controller": DECISIONS | {"garbage", "inputs", "kube", "logs", "signals", "tracing"},
    "gateway": DECISIONS | {"garbage", "kube", "logs", "signals", "tracing"},
    "cli": DECISIONS
    | {"adapter", "controller", "gateway", "inputs", "kube", "logs", "tracing", "weights", "worker", "workflows"},
}

# A library that only one place may know: whoever wants another one changes that place alone.
HOME_OF_LIBRARY = {"kopf": "controller/handlers.py", "kubernetes": "kube/", "opentelemetry": "tracing/"}

# The decisions stay pure: what is not listed here could do I/O.
CORE_LIBRARIES = sys.stdlib_module_names | {"jinja2"}


def imports(source: str, module: tuple[str, ...], *, is_package: bool = False) -> Iterator[str]:
    """The dotted names a module imports, wherever in it; relative imports are resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if is_package else module[:-1]
                parents = package[: len(package) - (node.level - 1)]
                base = ".".join([*parents, *filter(None, [base])])
            # `from splai import worker` imports the package, `from splai import __version__` only a name.
            yield from (f"{base}.{alias.name}" if base == "splai" else base for alias in node.names)


def violations(path: str, source: str) -> list[str]:
    """What a module, at a path below splai/, imports against the rules."""
    relative = Path(path)
    names = ("splai", *relative.with_suffix("").parts)
    if is_package := names[-1] == "__init__":
        names = names[:-1]
    if len(names) == 1:
        return []  # splai/__init__.py holds the version
    layer = names[1]
    if layer not in MAY_IMPORT:
        return [f"{path}: {layer} has no place in the layers yet: add it to MAY_IMPORT in {Path(__file__).name}"]
    allowed = MAY_IMPORT[layer] | {layer}
    found = []
    for name in sorted(set(imports(source, names, is_package=is_package))):
        library, *rest = name.split(".")
        if library == "splai":
            if rest and rest[0] in MAY_IMPORT and rest[0] not in allowed:
                found.append(f"{path} imports {name}: {layer} may import only {', '.join(sorted(allowed))}")
        elif not path.startswith(HOME_OF_LIBRARY.get(library, "")):
            found.append(f"{path} imports {library}: only {HOME_OF_LIBRARY[library]} may")
        elif layer == "core" and library not in CORE_LIBRARIES:
            found.append(f"{path} imports {library}: core imports only api, engines, jinja2 and the standard library")
    return found


def modules() -> list[str]:
    """Every module of SPLAI, by its path below splai/."""
    return sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", modules())
def test_module_keeps_to_its_layer(path: str) -> None:
    assert violations(path, (SOURCE / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("api/base.py", "import splai.core.plan", "splai.core.plan"),
        ("core/plan.py", "def f():\n    from splai.kube import client", "splai.kube"),
        ("core/plan.py", "import httpx", "httpx"),
        ("core/inferencejob/plan.py", "from ...worker import main", "splai.worker"),
        ("worker/main.py", "from splai import gateway", "splai.gateway"),
        ("worker/main.py", "from splai.kube.client import Client", "splai.kube.client"),
        ("controller/queue.py", "import kopf", "kopf"),
        ("gateway/reflector.py", "from kubernetes.aio import client", "kubernetes"),
        ("novelty/__init__.py", "", "novelty"),
    ],
)
def test_a_forbidden_import_is_named(path: str, source: str, refused: str) -> None:
    (message,) = violations(path, source)

    assert refused in message


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/plan.py", "import json\nfrom jinja2.sandbox import SandboxedEnvironment\nfrom splai.api.base import x"),
        ("core/inferencejob/__init__.py", "from .plan import plan\nfrom ..plan import Plan"),
        ("controller/handlers.py", "import kopf\nfrom splai import __version__"),
        ("kube/client.py", "from kubernetes.aio import client\nfrom splai.core.plan import Plan"),
    ],
)
def test_an_allowed_import_passes(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("package", [path for path in modules() if path.endswith("__init__.py")])
def test_package_says_what_lives_in_it(package: str) -> None:
    docstring = ast.get_docstring(ast.parse((SOURCE / package).read_text()))

    assert docstring, f"splai/{package} has no docstring"
    if package.count("/") == 1:
        assert "import" in docstring.lower(), f"splai/{package} does not say what it imports or who may import it"


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in SOURCE.rglob("*.py")}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


# Within the gateway too: the wire knows nothing of models, routing nothing of HTTP, translation nothing of either.
GATEWAY_MAY_IMPORT: dict[str, set[str]] = {
    "http": set(),
    "routing": {"errors", "metrics", "metric_families"},
    "responses": {"errors", "inference.sse"},
    "inference": {"access_log", "errors", "http", "metrics", "paths", "responses", "routing", "series"},
    "endpoints": {"errors", "http.asgi", "metrics", "metric_families", "paths", "routing"},
}


@pytest.mark.parametrize("part", GATEWAY_MAY_IMPORT)
def test_the_gateways_parts_import_what_they_may(part: str) -> None:
    prefix = "splai.gateway."
    allowed = (part, *GATEWAY_MAY_IMPORT[part])

    found = {
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in (SOURCE / "gateway" / part).rglob("*.py")
        for name in imports(path.read_text(), ("splai", "gateway", part, path.stem))
        if name.startswith(prefix)
        and not any((name.removeprefix(prefix) + ".").startswith(f"{parent}.") for parent in allowed)
    }

    assert not found
