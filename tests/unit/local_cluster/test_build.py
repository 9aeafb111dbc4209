"""The cache key of built programs: everything that changes them changes it, nothing else does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from local_cluster import build, paths
from local_cluster.errors import ClusterError

GO = "go version go1.26.0 linux/amd64"
GO_MOD = "module example\n\ngo 1.26.0\n\nrequire example.org/server v1.2.3\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> build.Module:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "go.sum").write_text("example.org/server v1.2.3 h1:abc=\n")
    monkeypatch.setattr(paths, "SOURCES", tmp_path)
    return build.Module(name="server", package="example.org/server", cpu_minutes=1)


def raise_version(module: build.Module) -> build.Module:
    (module.folder / "go.mod").write_text(GO_MOD.replace("v1.2.3", "v1.2.4"))
    return module


def change_content(module: build.Module) -> build.Module:
    (module.folder / "go.sum").write_text("example.org/server v1.2.3 h1:def=\n")
    return module


def add_linker_symbol(module: build.Module) -> build.Module:
    return replace(module, version_symbols=("main.version={version}",))


def test_the_key_stays_the_same_while_nothing_changes(module: build.Module) -> None:
    assert module.key(GO) == module.key(GO)


def complete_source(module: build.Module) -> build.Module:
    return replace(module, links=(("signal_linux.go", "signal_darwin.go"),))


@pytest.mark.parametrize("change", [raise_version, change_content, add_linker_symbol, complete_source])
def test_the_key_changes_with_what_the_programs_are_made_of(
    module: build.Module, change: Callable[[build.Module], build.Module]
) -> None:
    before = module.key(GO)

    assert change(module).key(GO) != before


def test_the_key_changes_with_the_compiler(module: build.Module) -> None:
    assert module.key(GO) != module.key(GO.replace("1.26.0", "1.26.1"))


def test_the_linker_writes_the_version_of_go_mod_into_the_programs(module: build.Module) -> None:
    flags = replace(module, version_symbols=("main.version={version}", "main.minor={minor}")).flags()

    assert flags == ["-trimpath", "-ldflags", "-s -w -X main.version=v1.2.3 -X main.minor=2"]


class Builds:
    """The builds of a module: so many fail, the next one succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __call__(self, _: build.Module, folder: Path) -> None:
        if self.failures:
            self.failures -= 1
            raise ClusterError("reading the module: unexpected EOF")
        folder.mkdir()


@pytest.fixture
def cache(module: build.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLAI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(build.MODULES, "server", module)
    monkeypatch.setattr(build, "_go_version", lambda: GO)


@pytest.mark.usefixtures("cache")
def test_a_build_whose_download_breaks_off_is_tried_again_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "_build", Builds(failures=1))

    assert build.programs("server").is_dir()
    assert "building server failed and is tried once more" in capsys.readouterr().err


def test_the_key_of_what_is_partly_cpp_covers_the_cpp_compiler(
    module: build.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_go_version", lambda: GO)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr("local_cluster.command.run", lambda *words: f"{' '.join(words)} says 12.2.0\nand its licence")

    assert build._compilers(module) == GO
    assert build._compilers(replace(module, cgo=True)) == f"{GO}, g++ --version says 12.2.0"


def test_a_missing_cpp_compiler_is_named(module: build.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(ClusterError, match=r"server is built from C\+\+ too, and g\+\+ is missing: apt-get install"):
        build._compilers(replace(module, cgo=True))


@pytest.mark.parametrize(("cgo", "enabled"), [(False, "0"), (True, "1")])
def test_c_is_compiled_only_where_it_is_needed(cgo: bool, enabled: str) -> None:
    assert build.go_environment(cgo=cgo)["CGO_ENABLED"] == enabled


@pytest.mark.usefixtures("cache")
def test_a_build_that_fails_twice_fails_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = Builds(failures=3)
    monkeypatch.setattr(build, "_build", builds)

    with pytest.raises(ClusterError, match="unexpected EOF"):
        build.programs("server")

    assert builds.failures == 1


def test_an_unknown_module_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="unknown module docker; there are: kubernetes, etcd"):
        build.programs("docker")


@pytest.mark.parametrize("module", build.MODULES.values(), ids=lambda module: module.name)
def test_each_module_pins_an_exact_version(module: build.Module) -> None:
    assert module.version.startswith("v")
    assert (module.folder / "go.sum").is_file()
