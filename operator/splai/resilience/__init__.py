"""When to try again and how long to wait: pure policies without clocks or I/O.

May import api and nothing else of SPLAI; inputs and worker use it.
"""
