"""A complete Kubernetes on this machine: the `make cluster` of SPLAI, and the control planes its tests run on.

Only the standard library is imported here, so that it runs before anything is installed; nothing of `splai` either.
"""
