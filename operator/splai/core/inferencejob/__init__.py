"""How an InferenceJob is decided: one file a question, ``plan.py`` puts the answers together.

May import api, engines and core's own values; ``prompt.py`` is also what the worker builds its requests with.
"""
