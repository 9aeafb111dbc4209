"""A model that puts an article into words, reached as any OpenAI server is; without one the article is quoted."""

import json
import os
from collections.abc import AsyncIterator

import httpx

_SECONDS = 120


def is_configured() -> bool:
    return bool(os.environ.get("SUPPORT_DESK_MODEL"))


async def explain(problem: str, article: str) -> AsyncIterator[str]:
    """The article's steps for this problem, as the model says them; raises httpx.HTTPError."""
    request = {
        "model": os.environ["SUPPORT_DESK_MODEL"],
        "stream": True,
        "messages": [
            {
                "role": "system",
                "content": f"You help colleagues with their computers. Use only these steps:\n{article}",
            },
            {"role": "user", "content": problem},
        ],
    }
    base = os.environ.get("OPENAI_BASE_URL", "http://splai-api-gateway.splai-system:4000/v1")
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, timeout=_SECONDS) as http,
        http.stream("POST", "/chat/completions", json=request) as reply,
    ):
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                yield _text(json.loads(line.removeprefix("data: ")))


def _text(chunk: dict[str, object]) -> str:
    """Raises RuntimeError where the stream broke off."""
    if "error" in chunk:
        raise RuntimeError("the model gave up in the middle of the answer")
    choices = chunk["choices"]
    return (choices[0]["delta"].get("content") or "") if isinstance(choices, list) and choices else ""
