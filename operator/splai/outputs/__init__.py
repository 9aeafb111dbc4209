"""The finished files of a job: their formats, and the places of the user's that they may go to.

Imports api only; what finalizes a job imports it, in a worker or in the pod that finishes the job.
"""
