"""Models of a provider, and of a server of the cluster, behind adapters: callers and jobs see models as any other."""

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.e2e.cluster import Namespace, eventually, forwarded, run_kubectl
from tests.e2e.conftest import fresh_namespace
from tests.e2e.objects import backend, job
from tests.e2e.provider_server import FOR_EVER
from tests.e2e.providers import anthropic, provider, remote, secret
from tests.e2e.results import custom_ids, default_ids, read_lines
from tests.e2e.test_engines import assert_it_chats_streams_and_embeds
from tests.unit.adapter.fake_providers import CITY, FINAL, FIRST_USAGE, KEY, SECOND_USAGE, TEXT
from tests.unit.adapter.test_conversation import QUESTION, TOOLS, assembled, history, usage_of

WRONG_KEY = "sk-ant-mistyped-5b1f"
BREAKERS_OPEN_AFTER = 5
READY = ("smollm2", "behind-smollm2", "claude", "mistyped")


@pytest.fixture(scope="module")
def site() -> Iterator[Namespace]:
    """The real model, a provider, and adapters in front of both, all of them Ready."""
    with fresh_namespace() as namespace:
        own, upstream = model(namespace, "smollm2"), f"http://smollm2.{namespace.name}.svc"
        namespace.apply(
            backend(model={"id": own}),
            *provider(),
            secret("keys", KEY),
            secret("mistyped-keys", WRONG_KEY),
            anthropic("claude", model(namespace, "claude"), keys="keys"),
            anthropic("mistyped", model(namespace, "mistyped"), keys="mistyped-keys"),
            remote(
                "behind-smollm2",
                model(namespace, "behind-smollm2"),
                provider="OpenAICompatible",
                baseURL=upstream,
                model=own,
            ),
        )
        for name in READY:
            namespace.wait("condition=Ready", f"modelbackend/{name}")
        provider_is_up(namespace)
        yield namespace


def model(namespace: Namespace, name: str) -> str:
    """An id that no other backend of the cluster has."""
    return f"{name}-{namespace.name}"


def provider_is_up(namespace: Namespace) -> None:
    namespace.kubectl("rollout", "status", "deployment/provider", "--timeout=120s")


@pytest.fixture
def sdk(gateway: str) -> Iterator[openai.OpenAI]:
    """A caller of the gateway, who does not ask twice."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="of-the-caller", max_retries=0, timeout=60) as client:
        yield client


def splai_logs(component: str) -> str:
    selector = f"app.kubernetes.io/component={component}"
    return run_kubectl("-n", "splai-system", "logs", "-l", selector, "--since=10m", "--tail=-1")


def everything_said(namespace: Namespace, asked: str) -> str:
    """Whatever is told about the backends: their resources, events and logs, and the logs of SPLAI.

    A gateway writes the lines of its requests a moment later: it is waited for one about the model ``asked``.
    """
    resources = namespace.kubectl("get", "mb,deploy,rs,pods,svc,events", "-o", "json")
    adapters = namespace.kubectl("logs", "-l", "splai.dev/modelbackend", "--all-containers", "--tail=-1")
    gateway = eventually(lambda: said if asked in (said := splai_logs("gateway")) else "", what="the request is logged")
    assert '"message": "serving"' in adapters
    return "\n".join((resources, adapters, gateway, splai_logs("operator")))


def test_a_conversation_with_a_tool_is_translated_to_the_provider_and_back(site: Namespace, sdk: openai.OpenAI) -> None:
    claude = model(site, "claude")

    with sdk.chat.completions.create(
        model=claude, messages=QUESTION, tools=TOOLS, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    asked = assembled(chunks)
    answer = sdk.chat.completions.create(model=claude, messages=history(asked), tools=TOOLS)

    (call,) = asked["calls"]
    assert (asked["text"], asked["finishes"], usage_of(chunks)) == (TEXT, ["tool_calls"], FIRST_USAGE)
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", CITY)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("".join(FINAL), "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == SECOND_USAGE
    assert {answer.model, *(chunk.model for chunk in chunks)} == {claude}
    assert KEY not in everything_said(site, claude)


def test_a_provider_that_is_killed_in_the_middle_of_an_answer_gives_an_error_and_no_end(
    site: Namespace, sdk: openai.OpenAI
) -> None:
    messages = [QUESTION[0], {"role": "user", "content": FOR_EVER}]
    chunks = []

    with sdk.chat.completions.create(
        model=model(site, "claude"), messages=messages, tools=TOOLS, stream=True
    ) as stream:
        chunks += [next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)]
        site.kubectl("delete", "pod", "-l", "app=provider")
        with pytest.raises(openai.APIError, match="before the answer was finished"):
            chunks.extend(stream)

    assert (assembled(chunks)["text"], assembled(chunks)["finishes"]) == (TEXT, [])
    provider_is_up(site)
    answer = sdk.chat.completions.create(model=model(site, "claude"), messages=QUESTION, tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_refused_key_is_told_without_the_key_and_a_corrected_one_needs_no_restart(
    site: Namespace, sdk: openai.OpenAI
) -> None:
    def ask() -> str | None:
        answer = sdk.chat.completions.create(model=model(site, "mistyped"), messages=QUESTION, tools=TOOLS)
        return answer.choices[0].message.content

    def ask_again() -> str | None:
        try:
            return ask()
        except openai.InternalServerError:
            return None

    for _ in range(BREAKERS_OPEN_AFTER + 1):
        with pytest.raises(openai.InternalServerError, match="refuses the key of remote") as caught:
            ask()
        assert caught.value.status_code == 502
        assert WRONG_KEY not in str(caught.value)
    assert WRONG_KEY not in everything_said(site, model(site, "mistyped"))
    (before,) = site.select("pods", "splai.dev/modelbackend=mistyped")

    site.apply(secret("mistyped-keys", KEY))

    assert eventually(ask_again, timeout=90, what="the corrected key is used") == TEXT
    (after,) = site.select("pods", "splai.dev/modelbackend=mistyped")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_server_of_the_cluster_serves_by_its_adapter_what_it_serves_itself(
    site: Namespace, gateway: str, sdk: openai.OpenAI
) -> None:
    behind = model(site, "behind-smollm2")

    assert_it_chats_streams_and_embeds(gateway, behind)
    answer = sdk.chat.completions.create(model=behind, messages=[{"role": "user", "content": "Hi"}], max_tokens=3)

    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 3
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert {behind, model(site, "claude")} <= {listed.id for listed in sdk.models.list()}
    with forwarded(site.name, "svc/behind-smollm2", 80) as service:
        listed = httpx.get(f"{service}/v1/models", timeout=60).json()["data"]
    assert [it["id"] for it in listed] == [behind]


def test_a_job_sends_its_records_to_a_remote_backend(site: Namespace, gateway: str) -> None:
    site.apply(job("batch", model=model(site, "behind-smollm2"), input={"items": ["one", "two", "three"]}))

    status = site.wait_for_phase("batch", "Completed")

    assert (status["succeeded"], status["failed"]) == (3, 0)
    assert 3 <= status["usage"]["completionTokens"] <= 6
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(3)
