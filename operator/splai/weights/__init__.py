"""Fetches a model's weights, in an init container before the engine starts: ``splai model fetch``.

Imports api, inputs, whose sources it reads, and nothing of Kubernetes.
"""
