"""HTTP/1.1 on asyncio protocols and httptools, towards callers and towards engines.

Knows nothing of models; imports nothing else of the gateway.
"""
