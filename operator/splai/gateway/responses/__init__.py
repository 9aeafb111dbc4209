"""The Responses API for engines that only speak chat, and the relay for those that speak it themselves; without I/O.

::

    request ──▶ to_chat ──▶ engine ──▶ response_object   a whole reply
                                  ├──▶ response_stream   its chat chunks, as Responses events
                                  └──▶ native_stream     its own Responses events

May import the gateway's errors and ``inference.sse``, which cuts a byte stream into events, and nothing else of it.
"""
