"""Which headers cross the gateway."""

from multidict import CIMultiDict

from splai.gateway.http.headers import forwarded, returned


def test_the_engine_gets_what_is_the_callers_and_nothing_of_the_hop() -> None:
    headers = CIMultiDict(
        {
            "Host": "gateway",
            "Authorization": "Bearer secret",
            "Cookie": "a=b",
            "Connection": "keep-alive, X-Private",
            "X-Private": "1",
            "Transfer-Encoding": "chunked",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept-Encoding": "gzip",
            "TraceParent": "00-1-2-01",
            "Idempotency-Key": "k",
        }
    )

    assert forwarded(headers, "id-1") == {
        "TraceParent": "00-1-2-01",
        "Idempotency-Key": "k",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "X-Request-ID": "id-1",
    }


def test_the_caller_gets_what_is_the_engines_and_nothing_that_is_ours_to_say() -> None:
    headers = CIMultiDict(
        {
            "Content-Type": "application/json",
            "Content-Length": "10",
            "Server": "llama.cpp",
            "Access-Control-Allow-Origin": "http://x",
            "Keep-Alive": "timeout=5",
            "Connection": "X-Hop",
            "X-Hop": "1",
            "Openai-Processing-Ms": "12",
        }
    )

    assert returned(headers) == {"Content-Type": "application/json", "Openai-Processing-Ms": "12"}
