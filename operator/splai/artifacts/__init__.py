"""The artifact server, its client, and what both share: the folder of a job over an object store.

Imports api only; worker, controller and gateway may import it.
"""
