"""The finished files of a job: their formats, and the places of the user's that they may go to.

Imports api only; the pod that finishes a job uses it, a worker never does.
"""
