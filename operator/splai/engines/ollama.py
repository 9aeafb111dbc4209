"""Ollama, for GGUF files and the models of its library, on CPUs and GPUs: https://github.com/ollama/ollama/tree/v0.9.0/docs

Its server starts empty, and answers for models that lie in its store, by the names that they have there; it loads one
into memory when a request asks for it. A pod, though, is ready when its model is in memory. So a script starts the
server, fills the store, gives the model all of its names and loads it; the startup probe waits for the script's mark.

The server takes no arguments: its settings are variables, https://github.com/ollama/ollama/blob/v0.9.0/docs/faq.md
It tells Prometheus nothing: https://github.com/ollama/ollama/issues/3144
"""

from splai.api.backend_source import parse_source
from splai.api.model_backend import ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.engines.images import EngineImages
from splai.engines.mount import SCRATCH, Mount
from splai.engines.pod import EnginePod, build_pod
from splai.engines.requests import of_ggml
from splai.engines.weights import model_weights

PORT = 11434

_STORE = Mount({"name": "cache", "emptyDir": {}}, "/cache")
_LOADED = f"{SCRATCH.path}/loaded"
_ENVIRONMENT = {
    "HOME": _STORE.path,
    "OLLAMA_HOST": f"127.0.0.1:{PORT}",  # where the script's commands, and those of `kubectl exec`, find the server
    "OLLAMA_KEEP_ALIVE": "-1",  # a model that nobody asks stays loaded
}

# In bash, which Ollama's image has and which can speak HTTP: no command of Ollama loads an embedding model, but an
# embedding request without input loads any. A step that fails ends the container with the last line of its output; the
# others are progress bars. Steps run in the background, because bash heeds no signal while one is in the foreground.
SCRIPT = f"""\
set -euo pipefail
rm -f {_LOADED}  # an earlier container of this pod had its own model in memory
OLLAMA_HOST=0.0.0.0:{PORT} ollama serve &
server=$!
trap 'exit 0' TERM INT
trap 'kill "$server" 2>/dev/null && wait "$server" || true' EXIT

attempt() {{
  "$@" >{SCRATCH.path}/output 2>&1 &
  wait "$!" || {{ echo "failed: $*"; tail -n 1 {SCRATCH.path}/output; exit 1; }} >&2
}}
load() {{
  request="{{\\"model\\": \\"$1\\"}}"
  exec 3<>/dev/tcp/127.0.0.1/{PORT}
  printf 'POST /api/embed HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n%s' "${{#request}}" "$request" >&3
  read -r status <&3
  [[ $status == *" 200 "* ]] || {{ cat <&3; exit 1; }}
}}

until (: >/dev/tcp/127.0.0.1/{PORT}) 2>/dev/null; do kill -0 "$server"; sleep 0.2; done
source=$1 id=$2
case $source in
  /*)
    [[ -e $source ]] || {{ echo "there is no $source"; exit 1; }} >&2
    echo "FROM $source" >{SCRATCH.path}/Modelfile
    attempt ollama create "$id" -f {SCRATCH.path}/Modelfile
    ;;
  *)
    ollama show "$source" >/dev/null 2>&1 || attempt ollama pull "$source"
    attempt ollama cp "$source" "$id"
    ;;
esac
for alias in "${{@:3}}"; do attempt ollama cp "$id" "$alias"; done
attempt load "$id"
touch {_LOADED}
wait "$server"
"""


def engine_pod(spec: ModelBackendSpec, images: EngineImages) -> EnginePod:
    """The script's arguments are the model's source, its id and its aliases; the CRD demands the first."""
    name = _library_name(spec.model.source or "")
    weights = [] if name else [model_weights(spec.model, one_file=True)]
    return build_pod(
        spec,
        image=spec.engine.image or images.ollama,
        port=PORT,
        health_path="/api/version",
        loaded=["test", "-e", _LOADED],
        command=["bash", "-c", SCRIPT, "ollama"],
        args=[name or weights[0].location, *spec.model.ids],
        env=_ENVIRONMENT,
        user=POD_USER,
        weights=weights,
        mounts=[_STORE],
        requests=of_ggml(disk=True),  # whatever the source, the store has a copy
    )


def _library_name(source: str) -> str:
    """What `ollama pull` is told; nothing for a file."""
    parsed = parse_source(source)
    return parsed.place if parsed.scheme == "ollama" else ""
