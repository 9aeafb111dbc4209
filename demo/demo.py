"""`make demo` after the installation: a model, a job over real records, its results, a streamed answer.

The records are the countries of ISO 3166-1, as Debian's iso-codes has them and the package pycountry ships them.
Everything goes through kubectl and HTTP, the way a user would do it.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pycountry

NAMESPACE = "splai-demo"
JOB = "capitals"
BACKEND = "smollm2"
HERE = Path(__file__).parent
NEXT_STEPS = f"""
The cluster stays up. Try next:

  export KUBECONFIG=.local/kubeconfig PATH=$PWD/.local/bin:$PATH
  kubectl -n {NAMESPACE} get ij,mb
  kubectl -n {NAMESPACE} get inferencejob {JOB} -o yaml
  kubectl -n splai-system port-forward svc/splai-splai-api-gateway 8080:8080   # then any OpenAI client

`make cluster-down` removes it.
"""


def main() -> int:
    """Run the steps in order; 0 when the job answered every record exactly once, in order."""
    countries = [{"name": country.name, "code": country.alpha_2} for country in pycountry.countries]
    prepare_namespace(countries)

    step("A ModelBackend: SmolLM2 on llama.cpp, under the id llama3-8b-q4")
    kubectl("apply", "-f", str(HERE / "backend.yaml"))
    kubectl("wait", "--for=condition=Ready", f"modelbackend/{BACKEND}", "--timeout=600s")
    show("get", "modelbackends")

    step(f"An InferenceJob: {len(countries)} countries, two workers, each with an engine and a GPU of its own")
    kubectl("apply", "-f", str(HERE / "job.yaml"))
    follow_job()
    kubectl("wait", "--for=jsonpath={.status.phase}=Completed", f"inferencejob/{JOB}", "--timeout=10s")
    show("get", "inferencejobs")
    show_where_it_ran()

    status = get("inferencejob", JOB)["status"]
    with forwarded("splai-system", "svc/splai-splai-api-gateway", 8080) as gateway:
        answers = read_output(gateway, status["output"]["uri"])
    problems = check(status, answers, [f"record-{number}" for number in range(1, len(countries) + 1)])
    show_results(countries, answers)

    step(f"A streamed answer from the backend's own Service, {status['backend']}.{NAMESPACE}.svc")
    with forwarded(NAMESPACE, f"svc/{BACKEND}", 80) as service:
        stream_answer(service, "Tell me one fact about Kubernetes.")

    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    if not problems:
        print(NEXT_STEPS)
    return 1 if problems else 0


def prepare_namespace(countries: list[dict[str, str]]) -> None:
    """A namespace under Pod Security `restricted`, with the records in a ConfigMap and no job of an earlier run."""
    step(f"Namespace {NAMESPACE}, with the records in a ConfigMap")
    apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
    )
    kubectl("delete", "inferencejob", JOB, "--ignore-not-found", "--cascade=foreground")
    apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "countries", "namespace": NAMESPACE},
            "data": {"countries.jsonl": "".join(json.dumps(country) + "\n" for country in countries)},
        }
    )


def follow_job() -> None:
    """Draw the job's progress until it ends or an hour has passed."""
    deadline = time.monotonic() + 3600
    shown = ""
    while time.monotonic() < deadline:
        status = get("inferencejob", JOB).get("status", {})
        line = progress_line(status)
        if line != shown:
            print(f"\r\033[K  {line}" if sys.stdout.isatty() else f"  {line}", end="" if sys.stdout.isatty() else "\n")
            sys.stdout.flush()
            shown = line
        if status.get("phase") in {"Completed", "Failed", "Canceled"}:
            print()
            return
        time.sleep(1)
    raise SystemExit("the job did not end within an hour")


def progress_line(status: dict[str, Any]) -> str:
    """One line: phase, bar, counts, and why it waits when it waits."""
    percent = status.get("progressPercent", 0)
    bar = "█" * (percent // 4) + "·" * (25 - percent // 4)
    line = f"{status.get('phase') or 'Pending':<10} {bar} {status.get('succeeded', 0)}/{status.get('total', 0)}"
    return f"{line}  {status['message']}" if percent == 0 and status.get("message") else line


def show_where_it_ran() -> None:
    """The GPU limits and the node selector as the pods carry them."""
    gpus = r".spec['initContainers','containers'][*].resources.limits.nvidia\.com/gpu"
    row = "{.metadata.name}{'  '}{.spec.nodeSelector}{'  nvidia.com/gpu: '}{" + gpus + "}{'\\n'}"
    show("get", "pods", "-o", "jsonpath={range .items[*]}" + row + "{end}")


def read_output(gateway: str, uri: str) -> list[dict[str, Any]]:
    """Fetch output.jsonl from the URL in the status, through the port-forward."""
    reply = httpx.get(gateway + urlsplit(uri).path, timeout=60)
    reply.raise_for_status()
    return [json.loads(line) for line in reply.text.splitlines()]


def check(status: dict[str, Any], answers: list[dict[str, Any]], expected: list[str]) -> list[str]:
    """What is wrong with the outcome; empty when every record is there once and in order."""
    problems = []
    if status["phase"] != "Completed" or status["succeeded"] != status["total"]:
        problems.append(f"phase {status['phase']}, {status['succeeded']} of {status['total']} succeeded")
    if [answer["custom_id"] for answer in answers] != expected:
        problems.append("output.jsonl does not hold every record exactly once in input order")
    return problems


def show_results(countries: list[dict[str, str]], answers: list[dict[str, Any]]) -> None:
    """A few answers next to their records."""
    step("Some of the results")
    for index in range(0, len(answers), max(1, len(answers) // 8)):
        text = answers[index]["response"]["body"]["choices"][0]["message"]["content"]
        print(f"  {countries[index]['name'][:32]:<34}{' '.join(text.split())[:80]}")


def stream_answer(service: str, question: str) -> None:
    """Print a chat answer as it comes."""
    body = {
        "model": "llama3-8b-q4",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 48,
        "stream": True,
    }
    print(f"  > {question}\n  ", end="")
    with httpx.stream("POST", f"{service}/v1/chat/completions", json=body, timeout=120) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                print(choice["delta"].get("content") or "", end="", flush=True)
    print()


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """`kubectl port-forward` to a free local port; yields the base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local_port: int = probe.getsockname()[1]
    command = ["kubectl", "-n", namespace, "port-forward", target, f"{local_port}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or "Forwarding" not in process.stdout.readline():
                raise SystemExit(f"cannot reach {target} in {namespace}")
            yield f"http://127.0.0.1:{local_port}"
        finally:
            process.terminate()


def step(title: str) -> None:
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n== {title}")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl in the demo's namespace; a failure ends the demo with kubectl's own words."""
    done = subprocess.run(["kubectl", "-n", NAMESPACE, *arguments], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def show(*arguments: str) -> None:
    print(
        "  $ kubectl -n",
        NAMESPACE,
        *("jsonpath=…" if argument.startswith("jsonpath=") else argument for argument in arguments),
    )
    print("".join(f"    {line}\n" for line in kubectl(*arguments).splitlines()), end="")


def apply(body: dict[str, Any]) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(body))


def get(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", kind, name, "-o", "json"))
    return found


if __name__ == "__main__":
    sys.exit(main())
