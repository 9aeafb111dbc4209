"""The Responses API for engines that only speak chat, and the relay for those that speak it themselves; without I/O.

::

    request ──▶ to_chat ──▶ engine for chat ──▶ response_object, response_stream ──▶ caller
           └──────────────▶ engine with the API ──▶ native_response, native_stream ──▶ caller

May import the gateway's errors and ``inference.sse``, which cuts a byte stream into events, and nothing else of it.
"""
