"""Where the bytes of an input come from and what they mean: read once, checked, and stored as chunks of records.

Runs in the planning pod, in one thread that pulls: a source gives blocks of bytes, a format makes records of them, the
reading checks each and hands it to a chunk. Nothing is held but what is on its way, and 8 bytes a record. May import
api, core, resilience and artifacts.
"""
