"""The Responses API for engines that only speak chat: translation without I/O.

May import the gateway's errors and nothing else of it.
"""
