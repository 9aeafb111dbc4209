"""The batch worker: reads plan.json, claims tasks, asks the engine, writes parts, commits, finalizes.

Imports api, core, resilience and artifacts; never kube, and no other process imports it but the command line.
"""
