"""The running operator: kopf feeds caches and a work queue, reconcilers carry out what `core` decides.

Sits on top of kube and core; nothing but the command line imports it. Start reading at `handlers.py`.
"""
