"""The real engines as users meet them: whole answers, streams and embeddings, through Service and gateway."""

from typing import Any

import httpx
import openai
import pytest

from tests.e2e.cluster import Namespace, forwarded
from tests.e2e.neighbours import load_image
from tests.e2e.objects import GPU_PRODUCT, backend

GGUF = "file:///models/smollm2-135m-instruct.gguf"
EMBEDDING_LENGTH = 576  # of SmolLM2-135M


@pytest.fixture(scope="module")
def ollama_image() -> str:
    """The image that is built from Ollama's Go module, in the cluster."""
    load_image("ollama")
    return "splai/ollama:local"


def names(namespace: Namespace) -> tuple[str, str]:
    """An id and an alias that no other backend of the cluster has."""
    return f"id-{namespace.name}", f"alias-{namespace.name}"


def apply_and_wait(namespace: Namespace, name: str, **spec: Any) -> None:
    namespace.apply(backend(name, **spec))
    namespace.wait("condition=Ready", f"modelbackend/{name}")


def assert_it_chats_streams_and_embeds(url: str, model: str) -> None:
    messages: Any = [{"role": "user", "content": "Say hello"}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
        chat = client.chat.completions.create(model=model, messages=messages, max_tokens=4)
        with client.chat.completions.create(model=model, messages=messages, max_tokens=4, stream=True) as stream:
            chunks = list(stream)
        vectors = client.embeddings.create(model=model, input=["a cat", "a dog"]).data

    assert chat.choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert {chat.model, *(chunk.model for chunk in chunks)} == {model}
    assert [len(vector.embedding) for vector in vectors] == [EMBEDDING_LENGTH, EMBEDDING_LENGTH]
    assert vectors[0].embedding != vectors[1].embedding


def gpu_limits(pod: dict[str, Any]) -> list[str]:
    return [container["resources"]["limits"]["nvidia.com/gpu"] for container in pod["spec"]["containers"]]


def test_llama_cpp_serves_its_model_by_id_and_alias(namespace: Namespace, gateway: str) -> None:
    model_id, alias = names(namespace)

    apply_and_wait(namespace, "llamacpp", model={"id": model_id, "aliases": [alias]})

    assert namespace.status("modelbackend", "llamacpp")["endpoint"] == f"http://llamacpp.{namespace.name}.svc"
    (pod,) = namespace.select("pods", "splai.dev/modelbackend=llamacpp")
    assert (gpu_limits(pod), pod["spec"]["nodeSelector"]) == (["1"], GPU_PRODUCT)
    with forwarded(namespace.name, "svc/llamacpp", 80) as service:
        assert_it_chats_streams_and_embeds(service, model_id)
    assert_it_chats_streams_and_embeds(gateway, alias)
    listed = httpx.get(f"{gateway}/v1/models", timeout=60).json()["data"]
    assert {model_id, alias} <= {model["id"] for model in listed}


def test_ollama_imports_a_gguf_file_and_is_ready_with_it_in_memory(
    namespace: Namespace, gateway: str, ollama_image: str
) -> None:
    model_id, alias = names(namespace)

    apply_and_wait(
        namespace,
        "ollama",
        model={"id": model_id, "aliases": [alias], "source": GGUF},
        engine={"type": "Ollama", "image": ollama_image},
    )

    with forwarded(namespace.name, "svc/ollama", 80) as service:
        loaded = httpx.get(f"{service}/api/ps", timeout=60).json()["models"]
        assert [(model["name"], model["expires_at"] > "2100") for model in loaded] == [(f"{model_id}:latest", True)]
        assert_it_chats_streams_and_embeds(service, model_id)
        assert httpx.get(f"{service}/v1/models/{alias}", timeout=60).json()["id"] == alias
        assert len(httpx.get(f"{service}/api/ps", timeout=60).json()["models"]) == 1
    assert_it_chats_streams_and_embeds(gateway, alias)
