"""The inference engines: one file each says how its container is started, probed and given GPUs.

May import api; core builds on it.
"""
