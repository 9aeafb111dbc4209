"""The shipped workflow: a vague problem is asked about, and with the history resent the conversation goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from splai.api.model_backend import ModelBackend
from splai.workflows.loading import load
from splai.workflows.registry import WorkflowRegistry
from splai.workflows.server import serving
from splai.workflows.workflow import GeneratorWorkflow

FOLDER = Path(__file__).parents[3] / "manifests" / "support-desk"
BACKEND = ModelBackend.model_validate(yaml.safe_load((FOLDER / "modelbackend.yaml").read_text()))


@pytest.fixture(autouse=True)
def _the_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered as its manifest says."""
    monkeypatch.delenv("SUPPORT_DESK_MODEL", raising=False)
    workflow = BACKEND.spec.workflow
    assert workflow is not None
    loaded = load(workflow.callable, FOLDER)
    WorkflowRegistry.register(BACKEND.spec.model.id, loaded.workflow, create_initial_state=loaded.create_initial_state)


class Conversation:
    """A client that keeps the history and sends all of it each time, as chat programs do."""

    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        self._sdk = sdk
        self.messages: list[Any] = []

    async def say(self, text: str) -> str:
        self.messages.append({"role": "user", "content": text})
        stream = await self._sdk.chat.completions.create(model="support_desk", messages=self.messages, stream=True)
        answer = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        self.messages.append({"role": "assistant", "content": answer})
        return answer


@pytest.fixture
def conversation(sdk: openai.AsyncOpenAI) -> Conversation:
    return Conversation(sdk)


async def test_it_is_listed_under_its_id(sdk: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == ["support_desk"]


async def test_a_clear_problem_is_answered_at_once(conversation: Conversation) -> None:
    answer = await conversation.say("The printer shows a paper jam")

    assert "printer problem" in answer
    assert "1. Cancel all jobs" in answer


async def test_a_vague_problem_is_asked_about_until_it_is_clear(conversation: Conversation) -> None:
    first = await conversation.say("It does not work!")
    second = await conversation.say("I cannot print")
    third = await conversation.say("The job stays in the queue")

    assert first.endswith("Please describe what you see.")
    assert "What does the printer show" in second
    assert "1. Cancel all jobs" in third


async def test_the_desk_asks_twice_at_most_and_then_opens_a_ticket_with_all_that_was_said(
    conversation: Conversation,
) -> None:
    for said in ("Help", "I do not know"):
        await conversation.say(said)

    answer = await conversation.say("Just fix it")

    assert answer.endswith("The ticket says:\nHelp\nI do not know\nJust fix it")


async def test_a_new_problem_after_an_answer_is_another_one(conversation: Conversation) -> None:
    await conversation.say("The printer shows a paper jam")

    answer = await conversation.say("Now the VPN")

    assert "What happens when you connect" in answer


async def test_two_conversations_do_not_hear_of_each_other(sdk: openai.AsyncOpenAI) -> None:
    ada, bob = Conversation(sdk), Conversation(sdk)
    await ada.say("I cannot print")
    await bob.say("I cannot log in")

    assert "printer problem" in await ada.say("It is offline")
    assert "password problem" in await bob.say("On my laptop")


@asynccontextmanager
async def a_model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[dict[str, Any]]]:
    """A second server whose model repeats its instructions; gives what it was asked."""
    asked: list[dict[str, Any]] = []

    async def repeating(state: dict[str, Any]) -> AsyncIterator[str]:
        asked.append(state)
        for message in state["messages"]:
            yield message["content"] + "\n"

    WorkflowRegistry.register("llama3-8b-q4", GeneratorWorkflow(repeating))  # type: ignore[arg-type]
    async with serving(0, "127.0.0.1") as port:
        monkeypatch.setenv("SUPPORT_DESK_MODEL", "llama3-8b-q4")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        yield asked


async def test_with_a_model_the_article_is_put_into_its_words(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_model(monkeypatch) as asked:
        answer = await conversation.say("The printer shows a paper jam")

    assert len(asked) == 1
    assert "Use only these steps:\n1. Cancel all jobs" in answer
    assert answer.endswith("The printer shows a paper jam\n")


async def test_a_model_that_is_away_is_said_in_the_stream(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPPORT_DESK_MODEL", "llama3-8b-q4")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    answer = await conversation.say("The printer shows a paper jam")

    assert answer.startswith("Error processing request: ")


def test_the_config_map_holds_every_module_of_the_package() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    (generator,) = kustomization["configMapGenerator"]

    workflow = BACKEND.spec.workflow
    assert workflow is not None
    assert workflow.config_map is not None
    assert generator["name"] == workflow.config_map.name
    assert set(generator["files"]) == {f"support_desk/{path.name}" for path in FOLDER.glob("support_desk/*.py")}
