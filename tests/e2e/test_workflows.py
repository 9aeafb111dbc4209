"""The shipped support desk as a user applies it: a workflow is a model, and its docs' promises hold in a cluster."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.cluster import Namespace, eventually, kill_process
from tests.e2e.conftest import fresh_namespace
from tests.e2e.objects import backend, job
from tests.e2e.results import read_lines

FOLDER = Path(__file__).parents[2] / "manifests" / "support-desk"
DESK = "splai.dev/modelbackend=support-desk"
QUESTION = "To help you I need to know one thing more. "
CHANGED = "One thing more, please. "
VAGUE = "I cannot print"
CLEAR = "The printer shows a paper jam"
QUOTED = ["This should help with your printer problem:\n", "1. Cancel all jobs"]


def apply(namespace: Namespace, folder: Path) -> None:
    """The commands of docs/workflows.md."""
    namespace.kubectl("apply", "-k", str(folder))
    namespace.wait("condition=Ready", "modelbackend/support-desk")


@pytest.fixture(scope="module")
def desk() -> Iterator[Namespace]:
    """The sample as it is, Ready."""
    with fresh_namespace() as namespace:
        apply(namespace, FOLDER)
        yield namespace


@pytest.fixture
def sdk(gateway: str) -> Iterator[openai.OpenAI]:
    """A caller of the gateway, who does not ask twice."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="not-needed", max_retries=0, timeout=60) as client:
        yield client


class Conversation:
    """A client that keeps the history and sends all of it each time, as chat programs do."""

    def __init__(self, sdk: openai.OpenAI, model: str = "support_desk") -> None:
        self._sdk = sdk
        self._model = model
        self._messages: list[Any] = []

    def texts(self, said: str) -> Iterator[str]:
        """The answer, event by event; raises openai.APIError where it breaks off."""
        self._messages.append({"role": "user", "content": said})
        finishes = []
        with self._sdk.chat.completions.create(model=self._model, messages=self._messages, stream=True) as stream:
            for choice in (choice for chunk in stream for choice in chunk.choices):
                finishes += [choice.finish_reason] if choice.finish_reason else []
                if choice.delta.content:
                    yield choice.delta.content
        assert finishes == ["stop"]

    def say(self, said: str) -> str:
        answer = "".join(self.texts(said))
        self._messages.append({"role": "assistant", "content": answer})
        return answer


def test_a_vague_problem_is_asked_about_until_it_is_clear(desk: Namespace, sdk: openai.OpenAI) -> None:
    conversation = Conversation(sdk)

    first = conversation.say("It does not work!")
    second = conversation.say(VAGUE)
    third = conversation.say("The job stays in the queue")

    assert first.startswith(QUESTION)
    assert first.endswith("Please describe what you see.")
    assert second.startswith(f"{QUESTION}What does the printer show")
    assert third.startswith("".join(QUOTED))


def test_each_text_of_a_workflow_is_an_event_of_its_own(desk: Namespace, sdk: openai.OpenAI) -> None:
    first, second = Conversation(sdk).texts(CLEAR)

    assert first == QUOTED[0]
    assert second.startswith(QUOTED[1])


def test_a_conversation_goes_on_after_the_pod_that_asked_back_is_gone(desk: Namespace, sdk: openai.OpenAI) -> None:
    conversation = Conversation(sdk)
    (before,) = desk.select("pods", DESK)
    assert conversation.say(VAGUE).startswith(QUESTION)

    desk.kubectl("delete", "pod", before["metadata"]["name"])
    desk.wait("condition=Ready", "modelbackend/support-desk")

    (after,) = desk.select("pods", DESK)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert conversation.say("It is offline").startswith("".join(QUOTED))


def test_a_job_sends_its_records_to_a_workflow(desk: Namespace, gateway: str) -> None:
    desk.apply(job("tickets", model="support_desk", input={"items": [VAGUE, CLEAR]}, parameters={}))

    status = desk.wait_for_phase("tickets", "Completed")

    answers = [line["response"]["body"] for line in read_lines(gateway, status["output"]["uri"])]
    asked, helped = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert asked.startswith(QUESTION)
    assert helped.startswith("".join(QUOTED))
    assert status["usage"]["completionTokens"] == sum(answer["usage"]["completion_tokens"] for answer in answers)


def with_changed_words_and_a_model(folder: Path) -> Path:
    """The sample with another text in its code, and with the lines of its manifest that are meant for this put in."""
    shutil.copytree(FOLDER, folder)
    manifest, code = folder / "modelbackend.yaml", folder / "support_desk" / "clarification.py"
    manifest.write_text(re.sub(r"^  # (template:|  )", r"  \1", manifest.read_text(), flags=re.MULTILINE))
    assert "\n  template:\n    env:\n" in manifest.read_text()
    code.write_text(code.read_text().replace(QUESTION, CHANGED))
    return folder


def test_changed_code_is_rolled_out_and_with_a_model_the_desk_answers_in_its_words(
    namespace: Namespace, sdk: openai.OpenAI, tmp_path: Path
) -> None:
    # At most 200 tokens: so small a model may not find an end.
    namespace.apply(backend(engine={"type": "LlamaCpp", "args": ["--threads", "1", "--temp", "0", "--predict", "200"]}))
    apply(namespace, FOLDER)
    namespace.wait("condition=Ready", "modelbackend/smollm2")
    model = f"{namespace.name}/support_desk"
    assert Conversation(sdk, model).say(VAGUE).startswith(QUESTION)

    apply(namespace, with_changed_words_and_a_model(tmp_path / "support-desk"))
    eventually(lambda: Conversation(sdk, model).say(VAGUE).startswith(CHANGED), what="the changed words are said")

    answer = list(Conversation(sdk, model).texts(CLEAR))
    assert len(answer) > len(QUOTED)
    assert "Error processing request" not in "".join(answer)

    (pod,) = [pod for pod in namespace.select("pods", DESK) if "deletionTimestamp" not in pod["metadata"]]
    texts = Conversation(sdk, model).texts(CLEAR)
    begun = next(texts)
    kill_process(command="workflow serve support_desk", environment=f"HOSTNAME={pod['metadata']['name']}")
    with pytest.raises(openai.APIError):
        list(texts)
    assert begun
