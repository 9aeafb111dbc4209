"""LiteLLM as the client of an OpenAI-compatible server."""

import json
import os

import litellm
import openai
import report

CLIENT = os.environ["CLIENT"]
MODEL = "llama3-8b-q4"
SERVER = {"api_base": os.environ["GATEWAY"], "api_key": "not-needed"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def completion(text, model=MODEL, **settings):
    messages = settings.pop("messages", [{"role": "user", "content": text}])
    return litellm.completion(model=f"openai/{model}", messages=messages, **SERVER, **settings)


def chat():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "chat"},
    ]
    reply = completion("chat", messages=messages, temperature=0.25, max_tokens=32)
    return {"text": reply.choices[0].message.content, "model": reply.model, "tokens": reply.usage.total_tokens}


def stream():
    chunks = completion("stream", stream=True)
    return {"pieces": [text for chunk in chunks if (text := chunk.choices[0].delta.content)]}


def torn_stream():
    chunks = completion("torn", f"torn:{CLIENT}", stream=True)
    return {"pieces": [text for chunk in chunks if (text := chunk.choices[0].delta.content)]}


def tools():
    messages = [{"role": "user", "content": "tools"}]
    message = completion("tools", messages=messages, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    messages = [*messages, message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = completion("tools", messages=messages, tools=[TOOL])
    arguments = json.loads(call.function.arguments)
    return {"name": call.function.name, "arguments": arguments, "answer": answer.choices[0].message.content}


def streamed_tools():
    whole = litellm.stream_chunk_builder(list(completion("streamed tools", tools=[TOOL], stream=True)))
    function = whole.choices[0].message.tool_calls[0].function
    return {"name": function.name, "arguments": json.loads(function.arguments)}


def embeddings():
    reply = litellm.embedding(model=f"openai/{MODEL}", input=["embeddings", "more"], **SERVER)
    return {"vectors": [item["embedding"] for item in reply.data]}


def unknown_model():
    return completion("unknown", "nobody").id


def refused_parameter():
    return completion("picky", f"picky:{CLIENT}", temperature=3).id


def too_many_requests():
    return completion("busy", f"busy:{CLIENT}").id


def recovery():
    return {"text": completion("recovering", f"recovering:{CLIENT}").choices[0].message.content}


def unavailable():
    return completion("unavailable", f"unavailable:{CLIENT}").id


def cut_stream():
    pieces, finish = [], None
    try:
        for chunk in completion("dying", f"dying:{CLIENT}", stream=True):
            pieces.append(chunk.choices[0].delta.content)
            finish = chunk.choices[0].finish_reason
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
    refused_parameter,
    too_many_requests,
    recovery,
    unavailable,
    cut_stream,
)
