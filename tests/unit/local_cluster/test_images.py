"""Images: the key covers what an image is made of, and what is built is what the key was taken from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_cluster import images, paths
from local_cluster.errors import ClusterError
from local_cluster.images import Recipe


class RecordingBuilder:
    """Writes the names of the files in the build context instead of an image."""

    base = "debian"

    def __init__(self) -> None:
        self.built: list[str] = []

    def build(self, recipe: Recipe, archive: Path) -> None:
        self.built.append(recipe.name)
        files = sorted(str(file.relative_to(recipe.context)) for file in recipe.context.rglob("*") if file.is_file())
        archive.write_text("\n".join(files))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    context = tmp_path / "context"
    (context / "package" / "__pycache__").mkdir(parents=True)
    (context / "package" / "server.py").write_text("serve()")
    (context / "package" / "__pycache__" / "server.pyc").write_text("bytes")
    (context / "secrets.txt").write_text("not a source")
    (context / "Dockerfile").write_text("FROM scratch")
    recipe = Recipe("server", context / "Dockerfile", context, ("package",))
    monkeypatch.setitem(images.RECIPES, "server", recipe)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    return recipe


def edit_source(recipe: Recipe) -> None:
    (recipe.context / "package" / "server.py").write_text("serve(all)")


def add_source(recipe: Recipe) -> None:
    (recipe.context / "package" / "client.py").write_text("")


def edit_dockerfile(recipe: Recipe) -> None:
    recipe.dockerfile.write_text("FROM scratch\nUSER 65532")


@pytest.mark.parametrize("change", [edit_source, add_source, edit_dockerfile])
def test_the_key_changes_with_what_the_image_is_made_of(recipe: Recipe, change: Callable[[Recipe], None]) -> None:
    before = recipe.key("debian")

    change(recipe)

    assert recipe.key("debian") != before


def test_the_key_changes_with_the_base(recipe: Recipe) -> None:
    assert recipe.key("debian") != recipe.key("another")


def test_byte_code_and_files_beside_the_sources_do_not_count(recipe: Recipe) -> None:
    before = recipe.key("debian")

    (recipe.context / "package" / "__pycache__" / "server.pyc").write_text("other bytes")
    (recipe.context / "secrets.txt").write_text("changed")

    assert recipe.key("debian") == before


def test_only_the_sources_reach_the_builder(recipe: Recipe) -> None:
    image = images.image("server", RecordingBuilder())

    assert image.archive.read_text() == "package/server.py"


def test_an_image_is_built_once_for_each_content(recipe: Recipe) -> None:
    builder = RecordingBuilder()

    first = images.image("server", builder)
    again = images.image("server", builder)
    edit_source(recipe)
    changed = images.image("server", builder)

    assert first == again
    assert changed.name == first.name
    assert changed.key != first.key
    assert builder.built == ["server", "server"]


def test_a_source_that_is_missing_is_named(recipe: Recipe) -> None:
    (recipe.context / "package" / "server.py").unlink()
    (recipe.context / "package" / "__pycache__" / "server.pyc").unlink()
    (recipe.context / "package" / "__pycache__").rmdir()
    (recipe.context / "package").rmdir()

    with pytest.raises(ClusterError, match=r"the image server needs .*package"):
        recipe.key("debian")


def test_ollamas_image_has_the_built_program_and_a_model_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ollama"
    program.write_text("built")
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        "local_cluster.build.program", lambda module, name: {("ollama", "ollama"): program}[module, name]
    )

    image = images.image("ollama", RecordingBuilder())
    program.write_text("built anew")

    assert image.name == "docker.io/splai/ollama:local"
    assert image.archive.read_text() == "ollama\nrequirements.lock"
    assert images.image("ollama", RecordingBuilder()).key != image.key


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="unknown image vllm; there are: splai, llamacpp, ollama"):
        images.image("vllm", RecordingBuilder())


@pytest.mark.parametrize("recipe", images.RECIPES.values(), ids=lambda recipe: recipe.name)
def test_each_dockerfile_copies_only_what_its_key_covers(recipe: Recipe) -> None:
    copies = [line.split()[1:-1] for line in recipe.dockerfile.read_text().splitlines() if line.startswith("COPY")]
    copied = {source for sources in copies if not sources[0].startswith("--from") for source in sources}

    assert copied == set(recipe.sources)
