"""Any image that speaks the OpenAI API under /v1; its author knows the arguments, we add probes and resources.

What it tells Prometheus its author knows too: by the annotations of ``engines/metrics.py``, in ``template``.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.engines.images import EngineImages
from splai.engines.pod import EnginePod, build_pod
from splai.engines.requests import SMALL
from splai.engines.weights import model_weights

DEFAULT_PORT = 8000
DEFAULT_HEALTH_PATH = "/v1/models"


def engine_pod(spec: ModelBackendSpec, _images: EngineImages) -> EnginePod:
    """A source is mounted at /models; the arguments that name the model are the user's."""
    return build_pod(
        spec,
        image=spec.engine.image or "",  # never empty: the CRD demands one
        port=spec.engine.port or DEFAULT_PORT,
        health_path=spec.engine.health_path or DEFAULT_HEALTH_PATH,
        command=spec.engine.command or (),
        weights=(model_weights(spec.model),),
        requests=SMALL,
    )
