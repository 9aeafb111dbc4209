"""What a run is given: a fresh state with the whole conversation in it.

The server keeps nothing between two requests. A workflow that asks back finds its question, and the answer to it, among
the messages of the next request.
"""

from splai.api.openai_chat import ChatCompletionRequest, ChatMessage
from splai.workflows import langchain
from splai.workflows.registry import Registered
from splai.workflows.workflow import State


def state_for(registered: Registered, request: ChatCompletionRequest) -> State:
    """The workflow's own initial state, with three keys set; raises whatever making it raises.

    ``current_user_input`` is the text of the last message, ``messages`` all of them as the caller sent them, and
    ``lc_messages``, where LangChain is installed, the same as LangChain's objects.
    """
    state = registered.create_initial_state()
    state["current_user_input"] = text_of(request.messages[-1])
    state["messages"] = [message.model_dump(exclude_unset=True) for message in request.messages]
    if langchain.is_installed():
        state["lc_messages"] = langchain.langchain_messages(request.messages)
    return state


def text_of(message: ChatMessage) -> str:
    """Its content, or the texts among the parts of it."""
    if isinstance(message.content, list):
        return "".join(str(part.get("text") or "") for part in message.content)
    return message.content or ""
