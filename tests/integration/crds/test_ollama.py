"""What the engine type Ollama asks of a backend's other fields, as a real apiserver says it."""

import re
from typing import Any

import pytest

from tests.integration.crds.manifests import Cluster, backend
from tests.integration.crds.test_fields import SOURCE_FORMS
from tests.integration.running_control_plane import KubectlError

SOURCE = (
    "engine type Ollama needs a model.source: ollama://name:tag, or one GGUF file as hf://owner/name[@revision]/file, "
    "file:///path, pvc://claim/path, s3://bucket/key, http(s)://host/file or oci://registry/repository:tag#path"
)
NAMES = (
    "with engine type Ollama model.id and model.aliases are names as Ollama has them: "
    "[[host/]namespace/]model[:tag], parts of at most 80 letters, digits and _-. (no dot in the namespace)"
)
NO_ARGS = "engine type Ollama takes no args: set its OLLAMA_ variables in template.env"
OLLAMA_ONLY = "a model.source ollama:// needs engine type Ollama"


def ollama(*, source: str | None = "ollama://smollm2:135m", model_id: str = "m", **fields: Any) -> dict[str, Any]:
    model = {"id": model_id, "aliases": fields.pop("aliases", []), **({"source": source} if source else {})}
    return backend(model=model, engine={"type": "Ollama", **fields})


REFUSED: list[tuple[dict[str, Any], str]] = [
    (ollama(source=None), SOURCE),
    (ollama(source="hf://owner/name"), SOURCE),
    (ollama(source="pvc://claim"), SOURCE),
    (ollama(source="ollama://-rm"), SOURCE),
    (ollama(source="ollama://two words"), SOURCE_FORMS),
    (ollama(source="ollama://"), SOURCE_FORMS),
    (ollama(model_id="m@v1"), NAMES),
    (ollama(model_id="a/b/c/d"), NAMES),
    (ollama(model_id="meta.llama/m"), NAMES),
    (ollama(model_id="m" * 81), NAMES),
    (ollama(aliases=["n", "x:y:z"]), NAMES),
    (ollama(args=["--verbose"]), NO_ARGS),
    (backend(model={"id": "m", "source": "ollama://qwen3"}, engine={"type": "LlamaCpp"}), OLLAMA_ONLY),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_what_ollama_cannot_do_is_refused_with_words_that_help(
    cluster: Cluster, body: dict[str, Any], words: str
) -> None:
    with pytest.raises(KubectlError, match=re.escape(words)):
        cluster.try_out(body)


@pytest.mark.parametrize(
    "body",
    [
        ollama(),
        ollama(source="ollama://hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"),
        ollama(source="ollama://registry.example:5000/team/model:v1"),
        ollama(source="file:///models/my model.gguf"),
        ollama(source="hf://owner/name@v1/m.gguf"),
        ollama(source="s3://bucket/m.gguf"),
        ollama(source="pvc://weights/q4.gguf", image="ollama/ollama:0.9.0-rocm"),
        ollama(model_id="Qwen/Qwen3-0.6B", aliases=["gpt-4o-mini", "llama3.1:8b", "example.org/team/model:v1"]),
        ollama(model_id="m" * 80),
    ],
)
def test_what_ollama_can_do_is_taken(cluster: Cluster, body: dict[str, Any]) -> None:
    assert cluster.try_out(body)["spec"]["engine"]["type"] == "Ollama"
