"""What the end-to-end tests do to a cluster: kubectl, waiting for a state, forwarding a port, killing a process."""

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
FORWARD_SECONDS = 60


class KubectlError(Exception):
    """kubectl said no; the text is its stderr."""


def run_kubectl(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise KubectlError(done.stderr.strip())
    return done.stdout


def eventually(observe: Callable[[], T], *, timeout: float = 120, what: str) -> T:
    """Call ``observe`` until it returns something true; on time-out the last value is in the message."""
    deadline = time.monotonic() + timeout
    while True:
        value = observe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what}; last seen: {value!r}")
        time.sleep(0.5)


@dataclass(frozen=True)
class Namespace:
    """One test's namespace."""

    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return run_kubectl("-n", self.name, *arguments, stdin=stdin)

    def apply(self, *objects: dict[str, Any]) -> None:
        for body in objects:
            self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def select(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
        return items

    def status(self, kind: str, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.get(kind, name).get("status", {})
        return status

    def condition(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        """The condition, or {} while it is not there."""
        conditions = self.status(kind, name).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == type_), {})

    def wait_for_reason(self, kind: str, name: str, type_: str, reason: str, *, timeout: float = 120) -> dict[str, Any]:
        """Wait until a condition has a reason; returns the condition."""

        def observe() -> dict[str, Any]:
            condition = self.condition(kind, name, type_)
            return condition if condition.get("reason") == reason else {}

        return eventually(observe, timeout=timeout, what=f"{type_} of {kind}/{name} has reason {reason}")

    def wait(self, what: str, target: str, *, timeout: int = 300) -> None:
        """`kubectl wait`, as a user would: ``what`` is its --for."""
        self.kubectl("wait", f"--for={what}", target, f"--timeout={timeout}s")

    def wait_for_phase(self, job: str, phase: str, *, timeout: int = 300) -> dict[str, Any]:
        """Wait until a job is in a phase; returns its status, which is in the message when it never is."""
        try:
            self.wait(f"jsonpath={{.status.phase}}={phase}", f"inferencejob/{job}", timeout=timeout)
        except KubectlError as error:
            status = json.dumps(self.status("inferencejob", job), indent=1)
            raise AssertionError(f"{job} is not {phase}: {error}\nits status: {status}") from None
        return self.status("inferencejob", job)

    def events(self, name: str) -> list[str]:
        """The reasons of the events about one object, oldest first."""
        found = json.loads(self.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json"))
        return [item["reason"] for item in sorted(found["items"], key=_age)]


def _age(event: dict[str, Any]) -> tuple[str, int]:
    """The apiserver lists by name, and names of Events are random."""
    metadata = event["metadata"]
    return metadata["creationTimestamp"], int(metadata["resourceVersion"])


def splai_image() -> str:
    """SPLAI's own, which has Python; the cluster has it already."""
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    return run_kubectl("-n", "splai-system", "get", "deployment", "splai-operator", "-o", path)


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """`kubectl port-forward` to a local port that kubectl picks; yields the base URL."""
    command = ["kubectl", "-n", namespace, "port-forward", "--address=127.0.0.1", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://{_forwarded_address(process, f'{target} in {namespace}')}"
        finally:
            process.terminate()


def _forwarded_address(process: subprocess.Popen[str], target: str) -> str:
    """Where `kubectl port-forward` listens, as it says when it does."""
    assert process.stdout is not None
    said, _, _ = select.select([process.stdout], [], [], FORWARD_SECONDS)
    line = process.stdout.readline() if said else f"nothing said for {FORWARD_SECONDS} s"
    address = re.match(r"Forwarding from (127\.0\.0\.1:\d+) ", line)
    assert address, f"cannot reach {target}: {line or 'kubectl has ended'}"
    return address[1]


def kill_process(*, command: str, environment: str) -> None:
    """SIGKILL the process whose command line and environment contain these, as the kernel's OOM killer would.

    Pods of a cluster on this machine are processes of this machine; needs root.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command_line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (entry / "environ").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if command in command_line and environment in variables:
            os.kill(int(entry.name), signal.SIGKILL)
            return
    raise AssertionError(f"no process runs {command!r} with {environment!r}: is the cluster on this machine?")
