"""Talking to the apiserver: client, cache, plan executor, events, Lease, access check. Knows no kind of SPLAI's own.

Only the controller and the gateway import it; workers hold no credential for the apiserver.
"""
