"""What is kept of jobs after their resources are gone: in the artifact store, or in PostgreSQL.

Imports api and artifacts; whoever archives a job or reads the archive may import it.
"""

from splai.history.opening import HistorySettingsInvalid, open_history
from splai.history.store import HistoryStore, HistoryUnavailable

__all__ = ["HistorySettingsInvalid", "HistoryStore", "HistoryUnavailable", "open_history"]
