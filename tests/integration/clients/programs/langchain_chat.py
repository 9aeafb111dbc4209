"""langchain-openai with the base URL of a server that is not OpenAI's."""

import os

import openai
import report
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

CLIENT = os.environ["CLIENT"]
MODEL = "llama3-8b-q4"
SERVER = {"base_url": os.environ["GATEWAY"], "api_key": "not-needed"}


@tool
def get_weather(city: str) -> str:
    """The weather of a city"""
    return "sunny"


def chat():
    llm = ChatOpenAI(model=MODEL, temperature=0.25, max_tokens=32, **SERVER)
    messages = [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Hello."), HumanMessage("chat")]
    reply = llm.invoke(messages)
    model = reply.response_metadata["model_name"]
    return {"text": reply.content, "model": model, "tokens": reply.usage_metadata["total_tokens"]}


def stream():
    return {"pieces": [chunk.content for chunk in ChatOpenAI(model=MODEL, **SERVER).stream("stream") if chunk.content]}


def torn_stream():
    llm = ChatOpenAI(model=f"torn:{CLIENT}", **SERVER)
    return {"pieces": [chunk.content for chunk in llm.stream("torn") if chunk.content]}


def tools():
    llm = ChatOpenAI(model=MODEL, **SERVER).bind_tools([get_weather])
    message = llm.invoke("tools")
    call = message.tool_calls[0]
    answer = llm.invoke(
        [HumanMessage("tools"), message, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    )
    return {"name": call["name"], "arguments": call["args"], "answer": answer.content}


def streamed_tools():
    whole = None
    for chunk in ChatOpenAI(model=MODEL, **SERVER).bind_tools([get_weather]).stream("streamed tools"):
        whole = chunk if whole is None else whole + chunk
    return {"name": whole.tool_calls[0]["name"], "arguments": whole.tool_calls[0]["args"]}


def embeddings():
    # Without the check the texts are sent as they are: the tokens of OpenAI's models mean nothing to other engines.
    embedder = OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, **SERVER)
    return {"vectors": embedder.embed_documents(["embeddings", "more"])}


def responses():
    reply = ChatOpenAI(model=MODEL, use_responses_api=True, **SERVER).invoke("responses")
    return {
        "text": reply.text,
        "status": reply.response_metadata["status"],
        "tokens": reply.usage_metadata["total_tokens"],
    }


def unknown_model():
    return ChatOpenAI(model="nobody", **SERVER).invoke("unknown").content


def no_model():
    return ChatOpenAI(model="", **SERVER).invoke("no model").content


def refused_parameter():
    return ChatOpenAI(model=f"picky:{CLIENT}", temperature=3, **SERVER).invoke("picky").content


def too_many_requests():
    return ChatOpenAI(model=f"busy:{CLIENT}", **SERVER).invoke("busy").content


def recovery():
    return {"text": ChatOpenAI(model=f"recovering:{CLIENT}", **SERVER).invoke("recovering").content}


def unavailable():
    return ChatOpenAI(model=f"unavailable:{CLIENT}", **SERVER).invoke("unavailable").content


def cut_stream():
    pieces, finish = [], None
    try:
        for chunk in ChatOpenAI(model=f"dying:{CLIENT}", **SERVER).stream("dying"):
            pieces.append(chunk.content)
            finish = chunk.response_metadata.get("finish_reason")
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
    responses,
    unknown_model,
    no_model,
    refused_parameter,
    too_many_requests,
    recovery,
    unavailable,
    cut_stream,
)
