"""openai-python, as its documentation and the tutorials use it; runs with every release since the oldest supported."""

import asyncio
import json
import os

import openai
import report
from openai import AsyncOpenAI, OpenAI

CLIENT = os.environ["CLIENT"]
MODEL = "llama3-8b-q4"
client = OpenAI(base_url=os.environ["GATEWAY"], api_key="not-needed")

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def asked(text):
    return [{"role": "user", "content": text}]


def chat():
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "chat"},
        ],
        temperature=0.25,
        max_tokens=32,
    )
    return {"text": reply.choices[0].message.content, "model": reply.model, "tokens": reply.usage.total_tokens}


def chat_with_an_alias():
    async def ask():
        async with AsyncOpenAI(base_url=os.environ["GATEWAY"], api_key=os.getenv("OPENAI_API_KEY")) as client:
            return await client.chat.completions.create(model="gpt-4-mini", messages=asked("alias"))

    reply = asyncio.run(ask())
    return {"text": reply.choices[0].message.content, "model": reply.model}


def stream():
    chunks = client.chat.completions.create(model=MODEL, messages=asked("stream"), stream=True)
    return {"pieces": [text for chunk in chunks if (text := chunk.choices[0].delta.content)]}


def torn_stream():
    chunks = client.chat.completions.create(model=f"torn:{CLIENT}", messages=asked("torn"), stream=True)
    return {"pieces": [text for chunk in chunks if (text := chunk.choices[0].delta.content)]}


def stream_with_usage():
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=asked("usage"), stream=True, stream_options={"include_usage": True}
        )
    )
    return {"tokens": chunks[-1].usage.total_tokens, "choices": len(chunks[-1].choices)}


def tools():
    messages = asked("tools")
    message = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    arguments = json.loads(call.function.arguments)
    return {"name": call.function.name, "arguments": arguments, "answer": answer.choices[0].message.content}


def streamed_tools():
    name, arguments = "", ""
    chunks = client.chat.completions.create(model=MODEL, messages=asked("streamed tools"), tools=[TOOL], stream=True)
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    return {"name": name, "arguments": json.loads(arguments)}


def completion():
    return {"text": client.completions.create(model=MODEL, prompt="completion").choices[0].text}


def embeddings():
    reply = client.embeddings.create(model=MODEL, input=["embeddings", "more"])
    return {"vectors": [item.embedding for item in reply.data]}


def embeddings_as_numbers():
    reply = client.embeddings.create(model=MODEL, input="numbers", encoding_format="float")
    return {"vectors": [item.embedding for item in reply.data]}


def models():
    return {"ids": [model.id for model in client.models.list()], "one": client.models.retrieve(MODEL).id}


def responses():
    reply = client.responses.create(model=MODEL, input="responses", instructions="Be brief.", max_output_tokens=32)
    return {"text": reply.output_text, "status": reply.status, "tokens": reply.usage.total_tokens}


def streamed_responses():
    events = list(client.responses.create(model=MODEL, input="streamed responses", stream=True))
    return {
        "types": [event.type for event in events],
        "pieces": [event.delta for event in events if event.type == "response.output_text.delta"],
        "text": events[-1].response.output_text,
    }


def responses_with_tools():
    tool = {"type": "function", "strict": False, **TOOL["function"]}
    reply = client.responses.create(model=MODEL, input="responses with tools", tools=[tool])
    call = next(item for item in reply.output if item.type == "function_call")
    history = [
        {"role": "user", "content": "responses with tools"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    answer = client.responses.create(model=MODEL, input=history, tools=[tool])
    return {"name": call.name, "arguments": json.loads(call.arguments), "answer": answer.output_text}


def unknown_model():
    return client.chat.completions.create(model="nobody", messages=asked("unknown")).id


def no_model():
    return client.chat.completions.create(model="", messages=asked("no model")).id


def refused_parameter():
    return client.chat.completions.create(model=f"picky:{CLIENT}", messages=asked("picky"), temperature=3).id


def too_many_requests():
    return client.chat.completions.create(model=f"busy:{CLIENT}", messages=asked("busy")).id


def recovery():
    reply = client.chat.completions.create(model=f"recovering:{CLIENT}", messages=asked("recovering"))
    return {"text": reply.choices[0].message.content}


def unavailable():
    return client.chat.completions.create(model=f"unavailable:{CLIENT}", messages=asked("unavailable")).id


def cut_stream():
    pieces, finish_reasons = [], []
    try:
        for chunk in client.chat.completions.create(model=f"dying:{CLIENT}", messages=asked("dying"), stream=True):
            pieces.append(chunk.choices[0].delta.content)
            finish_reasons.append(chunk.choices[0].finish_reason)
    except openai.APIError as error:
        return {"pieces": [p for p in pieces if p], "finish": finish_reasons[-1], "raised": report.described(error)}
    return {"pieces": pieces, "finish": finish_reasons[-1], "raised": None}


report.run(
    chat,
    chat_with_an_alias,
    stream,
    torn_stream,
    stream_with_usage,
    tools,
    streamed_tools,
    completion,
    embeddings,
    embeddings_as_numbers,
    models,
    responses,
    streamed_responses,
    responses_with_tools,
    unknown_model,
    no_model,
    refused_parameter,
    too_many_requests,
    recovery,
    unavailable,
    cut_stream,
)
