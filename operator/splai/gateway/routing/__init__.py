"""Which pod answers for a model: routes from watches, the choice among them, and who has to wait.

May import the gateway's errors and metrics, not what uses the routes.
"""
