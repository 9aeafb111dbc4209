"""The operator's decisions, pure: a snapshot of what is observed goes in, a plan comes out; no I/O, no clock.

May import api, engines, the standard library and jinja2; inputs, kube, controller and worker build on it.
"""
