"""Which headers cross the gateway."""

from splai.gateway.http.headers import forwarded, returned


def test_the_engine_gets_what_is_the_callers_and_nothing_of_the_hop() -> None:
    headers = [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer secret"),
        (b"cookie", b"a=b"),
        (b"connection", b"keep-alive, X-Private"),
        (b"x-private", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"accept-encoding", b"gzip"),
        (b"traceparent", b"00-1-2-01"),
        (b"idempotency-key", b"k"),
    ]

    assert forwarded(headers, "id-1") == (
        b"traceparent: 00-1-2-01\r\n"
        b"idempotency-key: k\r\n"
        b"content-type: application/json\r\n"
        b"accept-encoding: identity\r\n"
        b"x-request-id: id-1\r\n"
    )


def test_every_connection_header_names_headers_of_the_hop() -> None:
    headers = [(b"connection", b"x-one"), (b"x-one", b"1"), (b"x-two", b"2"), (b"connection", b"close,X-Two")]

    assert returned(headers) == []


def test_a_header_that_comes_twice_crosses_twice() -> None:
    assert returned([(b"link", b"a"), (b"link", b"b")]) == [(b"link", b"a"), (b"link", b"b")]


def test_the_caller_gets_what_is_the_engines_and_nothing_that_is_ours_to_say() -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"10"),
        (b"server", b"llama.cpp"),
        (b"access-control-allow-origin", b"http://x"),
        (b"keep-alive", b"timeout=5"),
        (b"connection", b"X-Hop"),
        (b"x-hop", b"1"),
        (b"openai-processing-ms", b"12"),
        (b"x-engine", b"1"),
    ]

    assert returned(headers) == [(b"content-type", b"application/json"), (b"x-engine", b"1")]
