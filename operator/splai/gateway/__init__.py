"""One OpenAI-compatible HTTP face in front of every ModelBackend: routes, relay, models, artifacts.

Nothing but the command line imports it; it imports api, artifacts and kube, never controller or worker.
"""
