"""The batch worker: reads plan.json, claims tasks, asks the engine, writes parts, commits, finalizes.

Imports api, core, artifacts, inputs, outputs and resilience, never kube; nothing but the command line imports it.
"""
