"""When to try again and how long to wait: policies without I/O.

May import api and nothing else of SPLAI; inputs, worker, kube and controller use it.
"""
