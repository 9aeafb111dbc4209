"""The `splai` command. Sits on top: it may import every package, and nothing imports it.

Each command imports its package when it runs, so that `splai worker run` does not pay for kopf.
"""

from pathlib import Path

import click

from splai import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="splai")
def main() -> None:
    """LLM inference on Kubernetes. Settings come from SPLAI_* environment variables."""


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
