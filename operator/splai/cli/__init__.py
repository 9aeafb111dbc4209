"""The `splai` command. Sits on top: it may import every package, and nothing imports it.

Each command imports its package when it runs, so that `splai worker run` does not pay for kopf.
"""

from pathlib import Path
from typing import Any

import click

from splai import __version__
from splai.api.backend_remote import PROVIDERS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="splai")
def main() -> None:
    """LLM inference on Kubernetes. Settings come from SPLAI_* environment variables, the adapter's from options."""


@main.group()
def operator() -> None:
    """Reconciles InferenceJobs and ModelBackends."""


@operator.command("run")
def operator_run() -> None:
    """Run the operator, in the cluster or against the current kubeconfig."""
    from splai.controller.operator import run

    run()


@main.group()
def artifacts() -> None:
    """Keeps the ledger and the outputs of jobs."""


@artifacts.command("serve")
def artifacts_serve() -> None:
    """Serve the artifact store."""
    from splai.artifacts.server import serve

    serve()


@main.group()
def gateway() -> None:
    """One OpenAI-compatible endpoint over every model."""


@gateway.command("serve")
def gateway_serve() -> None:
    """Serve the OpenAI API."""
    from splai.gateway.server import serve

    serve()


@main.group()
def worker() -> None:
    """Runs in the pods of an InferenceJob."""


@worker.command("run")
def worker_run() -> None:
    """Claim tasks, send their records to the engine, commit the answers."""
    from splai.worker.main import run

    run()


@worker.command("finish")
def worker_finish() -> None:
    """Write the output files of a job whose workers are gone."""
    from splai.worker.main import finish

    finish()


@worker.command("plan")
def worker_plan() -> None:
    """Read and check the input of a job before it has workers."""
    from splai.worker.plan import run

    run()


@main.group()
def adapter() -> None:
    """Speaks for a provider in the pods of a Remote ModelBackend."""


@adapter.command("serve")
@click.option("--provider", type=click.Choice(PROVIDERS), required=True, help="Whose API is spoken.")
@click.option("--served", multiple=True, required=True, help="An id that callers ask for; may be repeated.")
@click.option("--base-url", help="URL of the API; without a path the provider's usual one is meant.")
@click.option("--model", help="The provider's id of the model, where it is not the first served one.")
@click.option("--deployment", help="Of Azure OpenAI.")
@click.option("--api-version", help="A dated one, of Azure OpenAI.")
@click.option("--api-key-file", type=click.Path(path_type=Path), help="File that holds the provider's key.")
@click.option("--allow-private-urls", is_flag=True, help="Let the URL lead to loopback, link-local or metadata.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--log-level", envvar="SPLAI_LOG_LEVEL", default="INFO", show_default=True)
def adapter_serve(**options: Any) -> None:
    """Serve the OpenAI API for one model of a provider."""
    from splai.adapter.server import serve
    from splai.adapter.settings import Settings

    serve(Settings(**options))


@main.group()
def model() -> None:
    """Runs in the pods of a ModelBackend, before the engine."""


@model.command("fetch")
@click.option("--file", help="SOURCE is one file, which is called so in the folder.")
@click.option("--sha256", help="Digest of that file, in hex digits.")
@click.option("--s3-endpoint", help="URL of another S3 service than Amazon's.")
@click.option("--s3-region", help="Region of the bucket.")
@click.argument("source")
@click.argument("folder", type=click.Path(path_type=Path))
def model_fetch(
    source: str, folder: Path, file: str | None, sha256: str | None, s3_endpoint: str | None, s3_region: str | None
) -> None:
    """Fetch the weights at SOURCE (hf://, s3://, http(s)://) into FOLDER, which is there only when all of it is."""
    from splai.api.storage import S3Endpoint
    from splai.weights.command import run
    from splai.weights.remote import Order

    s3 = S3Endpoint(endpoint=s3_endpoint, region=s3_region)
    run(Order(source=source, file=file, sha256=sha256, s3=s3), folder)


@main.group()
def workflow() -> None:
    """Serves a Python program as a model."""


@workflow.command("serve")
@click.argument("target", metavar="PACKAGE.MODULE:ATTRIBUTE")
@click.option("--model", required=True, help="The id that clients ask for.")
@click.option("--alias", "aliases", multiple=True, help="A further id; may be repeated.")
@click.option("--code", type=click.Path(path_type=Path), help="A folder whose modules come before all others.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def workflow_serve(target: str, model: str, aliases: tuple[str, ...], code: Path | None, port: int) -> None:
    """Serve an async generator function or a LangGraph graph with OpenAI's chat API."""
    from splai.workflows.server import serve

    serve(target, [model, *aliases], code=code, port=port)
