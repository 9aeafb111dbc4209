"""The program of a pod that stands for Anthropic: the provider that the adapter's own tests have, on port 8000.

It runs in SPLAI's image, with this file and those it imports from a ConfigMap.
"""

import asyncio

from tests.unit.adapter.fake_providers import ANTHROPIC
from tests.unit.gateway.scripted_engine import Connection, Received, ScriptedEngine

PORT = 8000
FOR_EVER = "Take all the time in the world."
"""A stream that is asked for in these words stops before its last event, and is not ended."""


async def answer(request: Received, connection: Connection) -> None:
    paused = FOR_EVER.encode() in request.body
    script = ANTHROPIC.script(pause_after=len(ANTHROPIC.events(False)) - 1 if paused else None)
    await script(request, connection)


async def serve() -> None:
    server = await asyncio.start_server(ScriptedEngine(answer).serve, None, PORT)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
