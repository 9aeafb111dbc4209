"""What each engine is asked for, for the ids that clients use."""

from typing import Any

import pytest

from splai.api.model_backend import Model
from splai.engines.served_names import served_name

MODEL: dict[str, Any] = {
    "id": "llama3.1:8b",
    "aliases": ["gpt-4o-mini"],
    "source": "hf://team/llama@v1",
    "adapters": [{"id": "sql:v2", "source": "hf://team/sql"}],
}


@pytest.mark.parametrize(
    ("engine", "model", "adapter"),
    [
        ("LlamaCpp", "llama3.1:8b", None),
        ("Custom", "llama3.1:8b", None),
        ("vLLM", "llama3.1:8b", "sql:v2"),
        ("SGLang", "llama3.1-8b", "llama3.1-8b:sql:v2"),
        ("TGI", "llama3.1:8b", "sql:v2"),
        ("Transformers", "team/llama@v1", None),
        ("FromTheFuture", "llama3.1:8b", "sql:v2"),
    ],
)
def test_the_name_in_the_engine(engine: str, model: str, adapter: str | None) -> None:
    spec = Model.model_validate(MODEL)

    assert {served_name(engine, spec, asked) for asked in ("llama3.1:8b", "gpt-4o-mini")} == {model}
    if adapter is not None:
        assert served_name(engine, spec, "sql:v2") == adapter
