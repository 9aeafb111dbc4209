"""The hot path: a request to a model, from the caller to an engine and back, on bytes.

May import http, routing and responses.
"""
