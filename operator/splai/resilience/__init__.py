"""When to try again and how long to wait: pure policies without clocks or I/O, used by worker and gateway.

Imports nothing of SPLAI but api.
"""
