"""The cold paths, a Starlette application: models, artifacts, health, documents.

May import routing; inference is beside it, behind the same listener.
"""
