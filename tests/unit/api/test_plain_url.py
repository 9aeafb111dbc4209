import pytest

from splai.api.plain_url import plain_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b.jsonl", "https://host/a/b.jsonl"),
        ("https://host:1/a/b.jsonl?sig=secret#secret", "https://host:1/a/b.jsonl"),
        ("https://user:secret@host:1/a", "https://host:1/a"),
        ("https://host?sig=secret", "https://host"),
        ("https://host/a#secret?secret", "https://host/a"),
        ("http://[no-host?sig=secret", "http://[no-host"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret_in_it(url: str, shown: str) -> None:
    assert plain_url(url) == shown
