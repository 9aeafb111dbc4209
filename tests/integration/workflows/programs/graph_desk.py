"""LangGraph graphs as their authors write them; run with LangGraph's own environment."""

import asyncio
from pathlib import Path
from typing import Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph


class DeskState(TypedDict):
    current_user_input: str
    messages: list[dict[str, Any]]
    lc_messages: list[Any]
    rounds: int
    problem: str


def create_initial_state():
    return {"current_user_input": "", "messages": [], "lc_messages": [], "rounds": 0, "problem": ""}


def understand(state):
    """Everything that the user has said so far."""
    said = [message["content"] for message in state["messages"] if message["role"] == "user"]
    return {"problem": " ".join(said), "rounds": state["rounds"] + 1}


def route(state):
    return "answer" if "printer" in state["problem"] else "clarify"


def clarify(state):
    get_stream_writer()({"custom_llm_chunk": "Which device is it?"})
    return {}


def answer(state):
    write = get_stream_writer()
    write({"progress": "looking for the article"})
    write({"custom_llm_chunk": "Restart "})
    write({"custom_llm_chunk": ""})
    write({"custom_llm_chunk": "the printer."})
    return {}


def clarifying():
    builder = StateGraph(DeskState)
    builder.add_node("understand", understand)
    builder.add_node("clarify", clarify)
    builder.add_node("answer", answer)
    builder.add_edge(START, "understand")
    builder.add_conditional_edges("understand", route, ["clarify", "answer"])
    builder.add_edge("clarify", END)
    builder.add_edge("answer", END)
    return builder


desk = clarifying().compile()
uncompiled = clarifying()


def _with_one_node(node):
    builder = StateGraph(DeskState)
    builder.add_node("only", node)
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    return builder.compile()


def _say_classes(state):
    names = [type(message).__name__ for message in state["lc_messages"]]
    get_stream_writer()({"custom_llm_chunk": " ".join(names)})
    return {}


def _fail(state):
    get_stream_writer()({"custom_llm_chunk": "One moment. "})
    raise RuntimeError("no such ticket")


async def _wait(state):
    """Leaves a file where it is told to when it is cancelled."""
    get_stream_writer()({"custom_llm_chunk": "waiting"})
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(Path(state["current_user_input"]).touch)


classes = _with_one_node(_say_classes)
failing = _with_one_node(_fail)
endless = _with_one_node(_wait)
