"""LlamaIndex's classes for servers that are like OpenAI's."""

import os

import openai
import report
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

CLIENT = os.environ["CLIENT"]
MODEL = "llama3-8b-q4"
SERVER = {"api_base": os.environ["GATEWAY"], "api_key": "not-needed"}


def llm(model=MODEL, **settings):
    return OpenAILike(
        model=model,
        context_window=8192,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=1,  # of the SDK below; LlamaIndex's own, from the second on, wait four seconds each
        **SERVER,
        **settings,
    )


def get_weather(city: str) -> str:
    """The weather of a city"""
    return "sunny"


WEATHER = FunctionTool.from_defaults(get_weather)


def chat():
    reply = llm(temperature=0.25, max_tokens=32).chat(
        [
            ChatMessage("Be brief.", role="system"),
            ChatMessage("Hi", role="user"),
            ChatMessage("Hello.", role="assistant"),
            ChatMessage("chat", role="user"),
        ]
    )
    return {"text": reply.message.content, "model": reply.raw.model, "tokens": reply.raw.usage.total_tokens}


def stream():
    return {"pieces": [chunk.delta for chunk in llm().stream_complete("stream") if chunk.delta]}


def torn_stream():
    return {"pieces": [chunk.delta for chunk in llm(f"torn:{CLIENT}").stream_complete("torn") if chunk.delta]}


def tools():
    model = llm()
    reply = model.chat_with_tools([WEATHER], user_msg="tools")
    call = model.get_tool_calls_from_response(reply)[0]
    result = ChatMessage("sunny", role="tool", additional_kwargs={"tool_call_id": call.tool_id})
    answer = model.chat_with_tools([WEATHER], chat_history=[ChatMessage("tools", role="user"), reply.message, result])
    return {"name": call.tool_name, "arguments": call.tool_kwargs, "answer": answer.message.content}


def streamed_tools():
    model = llm()
    *_, last = model.stream_chat_with_tools([WEATHER], user_msg="streamed tools")
    call = model.get_tool_calls_from_response(last)[0]
    return {"name": call.tool_name, "arguments": call.tool_kwargs}


def embeddings():
    embedder = OpenAILikeEmbedding(model_name=MODEL, **SERVER)
    return {"vectors": embedder.get_text_embedding_batch(["embeddings", "more"])}


def unknown_model():
    return llm("nobody").complete("unknown").text


def no_model():
    return llm("").complete("no model").text


def refused_parameter():
    return llm(f"picky:{CLIENT}", temperature=2).complete("picky").text


def too_many_requests():
    return llm(f"busy:{CLIENT}").complete("busy").text


def recovery():
    return {"text": llm(f"recovering:{CLIENT}").complete("recovering").text}


def unavailable():
    return llm(f"unavailable:{CLIENT}").complete("unavailable").text


def cut_stream():
    pieces, finish = [], None
    try:
        for chunk in llm(f"dying:{CLIENT}").stream_complete("dying"):
            pieces.append(chunk.delta)
            finish = chunk.raw.choices[0].finish_reason
    except openai.APIError as error:
        return {"pieces": [p for p in pieces if p], "finish": finish, "raised": report.described(error)}
    return {"pieces": pieces, "finish": finish, "raised": None}


report.run(
    chat,
    stream,
    torn_stream,
    tools,
    streamed_tools,
    embeddings,
    unknown_model,
    no_model,
    refused_parameter,
    too_many_requests,
    recovery,
    unavailable,
    cut_stream,
)
