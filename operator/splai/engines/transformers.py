"""``transformers serve``, for models that no other engine runs: https://huggingface.co/docs/transformers/serving

It listens once its model is loaded. No published image has the extra ``serving``, so ``engine.image`` names one.
It tells Prometheus nothing: none of its routes is one for metrics (src/transformers/cli/serving/server.py).
"""

from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import LOAD_MINUTES, python_home
from splai.engines.requests import of_one_process
from splai.engines.served_names import transformers_name
from splai.engines.weights import model_weights

PORT = 8000


def engine_pod(spec: ModelBackendSpec, _images: EngineImages) -> EnginePod:
    """The layers of a model are spread over all GPUs that there are; no argument says how many."""
    home = python_home(spec, "transformers")
    return build_pod(
        spec,
        image=spec.engine.image or "",  # never empty: the CRD demands one
        port=PORT,
        health_path="/health",
        command=["transformers", "serve"],
        args=[transformers_name(spec.model), "--host", "0.0.0.0", "--port", str(PORT)],  # noqa: S104 - as for vLLM
        env=home.variables,
        user=POD_USER,
        weights=(model_weights(spec.model),),
        mounts=home.mounts,
        requests=of_one_process(spec),
        load_minutes=LOAD_MINUTES,
    )
