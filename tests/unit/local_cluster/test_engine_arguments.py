"""The engine image takes the arguments of llama.cpp's own server."""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from splai.api.model_backend import ModelBackendSpec
from splai.engines import engine_pod
from splai.engines.images import EngineImages

SERVER = Path(__file__).parents[3] / "images" / "llamacpp" / "server.py"

Parse = Callable[[list[str]], argparse.Namespace]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    monkeypatch.delenv("LLAMA_ARG_MODEL", raising=False)
    specification = importlib.util.spec_from_file_location("llamacpp_server", SERVER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    parse: Parse = module.parse
    return parse


@pytest.mark.parametrize("source", [None, "file:///models/a.gguf"], ids=["our model", "a model of the user's"])
def test_the_arguments_that_a_backend_passes(parse: Parse, monkeypatch: pytest.MonkeyPatch, source: str | None) -> None:
    monkeypatch.setenv("LLAMA_ARG_MODEL", "/models/a.gguf")
    backend = {"model": {"id": "llama3", "source": source}, "resources": {"gpu": {}}}
    images = EngineImages(llamacpp="splai/llamacpp:1", vllm="not used")

    options = parse(engine_pod(ModelBackendSpec.model_validate(backend), images).container["args"])

    assert (options.model, options.host, options.port) == (Path("/models/a.gguf"), "0.0.0.0", 8080)
    assert (options.alias, options.metrics, options.gpu_layers) == ("llama3", True, 999)
    assert (options.embedding, options.jinja, options.cache_ram) == (True, True, 128)


def test_short_names_and_equal_signs(parse: Parse) -> None:
    options = parse(["-m", "a.gguf", "-c", "4096", "-np", "2", "--port=9000"])

    assert (options.ctx_size, options.parallel, options.port) == (4096, 2, 9000)


def test_embeddings_with_a_pooling_type(parse: Parse) -> None:
    options = parse(["-m", "a.gguf", "--embeddings", "--pooling", "mean"])

    assert (options.embedding, options.pooling) == (True, "mean")


def test_the_image_names_the_model_when_nobody_does(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_ARG_MODEL", "/models/inside.gguf")

    assert parse([]).model == Path("/models/inside.gguf")


@pytest.mark.parametrize("arguments", [["--no-such-flag"], [], ["-m", "a.gguf", "--pooling", "median"]])
def test_what_is_unknown_or_missing_is_refused(
    parse: Parse, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(arguments)

    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err
