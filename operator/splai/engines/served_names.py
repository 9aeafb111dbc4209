"""What an engine calls a model that clients ask for by an id of the backend's.

Engines are told the backend's ids where they can be told. Two cannot:

- SGLang refuses a served name with a colon, which it reads as ``model:adapter`` in requests, and that is how it is
  asked for an adapter: https://docs.sglang.io/advanced_features/lora.html
- ``transformers serve`` knows its model by the name that it was started with, and refuses requests for any other:
  https://huggingface.co/docs/transformers/serving

TGI answers every name that is none of its adapters' with the model itself.
"""

from splai.api.model_backend import Model
from splai.engines.weights import model_weights


def served_name(engine: str, model: Model, asked: str) -> str:
    """The ``model`` of a request to an engine of type ``engine``, for one of the backend's ids."""
    is_adapter = any(adapter.id == asked for adapter in model.adapters)
    match engine:
        case "SGLang":
            name = model.id.replace(":", "-")
            return f"{name}:{asked}" if is_adapter else name
        case "Transformers":
            return transformers_name(model)
        case _:
            return asked if is_adapter else model.id


def transformers_name(model: Model) -> str:
    """``owner/name@revision`` of a model on the Hub, else the folder."""
    weights = model_weights(model)
    return f"{weights.location}@{weights.revision}" if weights.revision else weights.location
