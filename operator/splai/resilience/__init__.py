"""When to try again and how long to wait: policies without I/O, used by operator, worker and gateway.

Imports nothing of SPLAI but api.
"""
