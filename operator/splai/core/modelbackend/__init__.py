"""How a ModelBackend is decided: its Deployment, its Service and a status that tells the truth about both.

May import api, engines and core's own values.
"""
