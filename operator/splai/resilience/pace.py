"""How many requests may be in flight: additive increase, multiplicative decrease.

The way in which TCP shares a line that nobody knows the width of: each round of answers allows one more request, and
each sign of overload halves them. So many workers, who know nothing of each other, keep a backend busy and share it.
"""


class Pace:
    """The limit of one client; it starts at its ceiling, so that a healthy backend is never tested slowly."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._allowed = float(ceiling)
        self._slowed_at = float("-inf")
        self.limit = ceiling

    def answered(self) -> None:
        """A request was answered."""
        if self._allowed < self._ceiling:
            self._allowed = min(self._ceiling, self._allowed + 1 / self._allowed)
            self.limit = int(self._allowed)

    def overloaded(self, *, sent_at: float, now: float) -> None:
        """A request was refused for overload; those that were in flight together count once."""
        if sent_at < self._slowed_at:
            return
        self._slowed_at = now
        self._allowed = max(1.0, self._allowed / 2)
        self.limit = int(self._allowed)
