"""Hugging Face's Text Generation Inference, for GPUs: https://huggingface.co/docs/text-generation-inference

It is in maintenance, and its authors recommend vLLM and SGLang. It answers every name with the model but those of its
adapters, so nothing has to tell it the model's id. Its router listens once all shards have their part of the model.
"""

from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.metrics import Metrics
from splai.engines.pod import EnginePod, build_pod
from splai.engines.python_home import LOAD_MINUTES, python_home, tensor_parallel_size
from splai.engines.requests import of_gpu_server
from splai.engines.weights import adapter_weights, model_weights

PORT = 8080

METRICS = Metrics(  # docs/source/reference/metrics.md. Of tokens it has histograms: their sums count.
    requests_running="tgi_batch_current_size",
    requests_waiting="tgi_queue_size",
    prompt_tokens_total="tgi_request_input_length_sum",
    generated_tokens_total="tgi_request_generated_tokens_sum",
)


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """Arguments only: the image's entrypoint finds the environment that the launcher lives in."""
    model, adapters = model_weights(spec.model), adapter_weights(spec.model)
    args = ["--model-id", model.location, "--hostname", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - as for vLLM
    args += ["--usage-stats", "off"]
    if model.revision:
        args += ["--revision", model.revision]
    # Left out, it takes all GPUs that it sees; slices of one are several, and no model is split over them.
    args += ["--num-shard", str(tensor_parallel_size(spec))]
    if adapters:
        args += ["--lora-adapters", ",".join(f"{name}={found.location}" for name, found in adapters.items())]
    home = python_home(spec, "tgi")
    return build_pod(
        spec,
        image=spec.engine.image or images.tgi,
        port=PORT,
        health_path="/health",
        args=args,
        # The launcher has a variable of its own for where the Hub's files are.
        env={**home.variables, "HUGGINGFACE_HUB_CACHE": f"{home.variables['HF_HOME']}/hub"},
        user=POD_USER,
        weights=(model, *adapters.values()),
        mounts=home.mounts,
        metrics=METRICS,
        requests=of_gpu_server(spec),
        load_minutes=LOAD_MINUTES,
    )
