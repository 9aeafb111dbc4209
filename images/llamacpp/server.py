"""llama.cpp's OpenAI-compatible server with the command line of its own `llama-server`.

The server inside the wheel `xllamacpp` is llama.cpp's C++ server, but it is configured from Python. This file gives
it the flags of `llama-server`, so that this image and llama.cpp's own take the same arguments.
A flag that is not known here is refused, never ignored.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

POOLING_TYPES = ("none", "mean", "cls", "last", "rank")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, by the names that `llama-server` gives them."""
    parser = argparse.ArgumentParser(prog="llama-server", description=__doc__, allow_abbrev=False)
    model = os.environ.get("LLAMA_ARG_MODEL")
    parser.add_argument("-m", "--model", default=model, required=model is None, type=Path, help="a GGUF file")
    parser.add_argument("-a", "--alias", help="model ids that are served, separated by commas")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--api-key", help="keys that clients may use, separated by commas")
    parser.add_argument("-to", "--timeout", type=int, default=3600, help="seconds to read or write one message")
    parser.add_argument("--threads-http", type=int, default=-1)
    parser.add_argument("-c", "--ctx-size", type=int, default=0, help="tokens of all slots together; 0: the model's")
    parser.add_argument("-np", "--parallel", type=int, default=4, help="slots: requests that run at once")
    parser.add_argument("-t", "--threads", type=int, default=-1, help="threads for generation")
    parser.add_argument("-tb", "--threads-batch", type=int, default=None, help="threads for prompts")
    parser.add_argument("-cram", "--cache-ram", type=int, default=8192, help="MiB of old prompts to keep; 0: none")
    parser.add_argument("-b", "--batch-size", type=int, default=2048)
    parser.add_argument("-ub", "--ubatch-size", type=int, default=512)
    parser.add_argument("-n", "--predict", "--n-predict", type=int, default=-1, help="limit of tokens; -1: none")
    parser.add_argument("-s", "--seed", type=int, default=None)
    parser.add_argument("--temp", type=float, default=None)
    parser.add_argument("-ngl", "--gpu-layers", "--n-gpu-layers", type=int, default=-1)
    parser.add_argument("--embedding", "--embeddings", action="store_true", help="serve /v1/embeddings as well")
    parser.add_argument("--pooling", choices=POOLING_TYPES, help="how token vectors become one")
    parser.add_argument("--jinja", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--chat-template")
    parser.add_argument("--chat-template-file", type=Path)
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--slots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--warmup", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("-lv", "--verbosity", "--log-verbosity", type=int, default=3)
    return parser.parse_args(arguments)


def parameters(options: argparse.Namespace) -> Any:
    """The options as llama.cpp's own structure."""
    import xllamacpp  # type: ignore[import-not-found]  # not at the top: the command line can be tested without the engine

    common = xllamacpp.CommonParams()
    common.model.path = str(options.model)
    common.model_alias = set(_words(options.alias or options.model.stem))
    common.hostnames = [options.host]
    common.port = options.port
    common.api_keys = _words(options.api_key)
    common.timeout_read = common.timeout_write = options.timeout
    common.n_threads_http = options.threads_http
    common.n_ctx = options.ctx_size
    common.n_parallel = options.parallel
    common.cpuparams.n_threads = options.threads
    common.cpuparams_batch.n_threads = options.threads if options.threads_batch is None else options.threads_batch
    common.cache_ram_mib = options.cache_ram
    common.n_batch = options.batch_size
    common.n_ubatch = options.ubatch_size
    common.n_predict = options.predict
    common.n_gpu_layers = options.gpu_layers
    if options.seed is not None:
        common.sampling.seed = options.seed
    if options.temp is not None:
        common.sampling.temp = options.temp
    common.embedding = options.embedding
    if options.pooling is not None:
        common.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{options.pooling.upper()}")
    common.use_jinja = options.jinja
    if options.chat_template_file is not None:
        common.chat_template = options.chat_template_file.read_text()
    elif options.chat_template is not None:
        common.chat_template = options.chat_template
    common.endpoint_metrics = options.metrics
    common.endpoint_slots = options.slots
    common.warmup = options.warmup
    common.verbosity = options.verbosity
    common.ui = False
    return common


def main() -> None:
    """Serve until a signal; end at once then, because an engine holds nothing that must be saved.

    Loading a model blocks Python for minutes, and the kernel ignores an unhandled SIGTERM to the first process of a
    container. So the server runs in a child, and this process has nothing to do but to listen.
    """
    options = parse(sys.argv[1:])
    if not options.model.is_file():
        sys.exit(f"the model {options.model} does not exist")
    child = os.fork()
    if child == 0:
        serve(options)

    def end(_signal: int, _frame: object) -> None:
        os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _, status = os.waitpid(child, 0)
    sys.exit(f"the engine ended: {os.waitstatus_to_exitcode(status)}")


def serve(options: argparse.Namespace) -> NoReturn:
    """Load the model and answer until this process is killed."""
    import xllamacpp

    server = xllamacpp.Server(parameters(options))  # noqa: F841  (it serves as long as it exists)
    while True:
        signal.pause()


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


if __name__ == "__main__":
    main()
