"""The articles of the desk: by which words a problem is known, which detail decides it, and what helps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Article:
    """One kind of problem."""

    topic: str
    words: frozenset[str]
    detail: frozenset[str]
    """Words of which one must be there before the steps make sense."""
    question: str
    """Asks for that detail."""
    steps: tuple[str, ...]


ARTICLES = (
    Article(
        "password",
        frozenset({"password", "login", "log", "locked", "account", "sign"}),
        frozenset({"windows", "laptop", "email", "mail", "vpn", "portal", "phone"}),
        "Where does it refuse you: on your laptop, in the email program, in the VPN or in the web portal?",
        (
            "Open the self-service portal and choose Reset password.",
            "Confirm with the code that your phone shows.",
            "Sign out everywhere, then sign in with the new password.",
        ),
    ),
    Article(
        "vpn",
        frozenset({"vpn", "remote", "tunnel"}),
        frozenset({"error", "timeout", "slow", "disconnects", "certificate", "password", "code"}),
        "What happens when you connect: an error with a code, a timeout, or does the connection drop after a while?",
        (
            "Check that a web page opens without the VPN.",
            "Restart the VPN client and choose the nearest gateway.",
            "If it names the certificate, renew it in the self-service portal.",
        ),
    ),
    Article(
        "printer",
        frozenset({"printer", "print", "printing", "paper", "toner"}),
        frozenset({"paper", "jam", "toner", "queue", "offline", "error", "blank"}),
        "What does the printer show: offline, a paper jam, low toner, or does the job stay in the queue?",
        (
            "Cancel all jobs in the queue and switch the printer off for ten seconds.",
            "Remove the printer from your device and add it again from the directory.",
            "Print a test page.",
        ),
    ),
)


def article_for(words: set[str]) -> Article | None:
    """The article that most of the words point to; None where none does."""
    best = max(ARTICLES, key=lambda article: len(article.words & words))
    return best if best.words & words else None


def article_of(topic: str) -> Article:
    """Raises StopIteration for a topic that no article has."""
    return next(article for article in ARTICLES if article.topic == topic)
