"""The process behind a ModelBackend of engine Remote: OpenAI's API in front, a provider's behind.

Imports api, providers, logs and url_guard. It holds a key, and nothing else of the cluster.
"""
