"""The artifact server, its client, and what both share: the folder of a job over an object store.

Imports api and logs; whoever reads or writes the folder of a job imports it.
"""
