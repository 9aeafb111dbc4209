"""Reading what a job left: its output, its errors and its ledger's counts."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx


def read_lines(gateway: str, uri: str) -> list[dict[str, Any]]:
    """Fetch a JSONL artifact by the URL in the status, through the forwarded gateway."""
    reply = httpx.get(gateway + urlsplit(uri).path, timeout=60)
    reply.raise_for_status()
    return [json.loads(line) for line in reply.text.splitlines()]


def custom_ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]


def default_ids(records: int) -> list[str]:
    """The custom_id values of records that bring none, in order."""
    return [f"record-{number}" for number in range(1, records + 1)]


def taken_again(status: dict[str, Any]) -> set[str]:
    """The tasks that were claimed more than once: with one record a task, the records that may have run twice."""
    return {task["id"] for task in status["tasks"] if task["attempts"] > 1}


def held_by(artifacts: httpx.Client, job: dict[str, Any], pod: dict[str, Any]) -> set[str]:
    """The tasks that the ledger shows as claimed by a worker pod and not committed."""
    metadata, labels = job["metadata"], pod["metadata"]["labels"]
    child, index = labels["batch.kubernetes.io/job-name"], labels["batch.kubernetes.io/job-completion-index"]
    worker = f"{child}-{index}-{pod['metadata']['uid']}"
    progress = artifacts.get(f"/{metadata['namespace']}/{metadata['uid']}/progress").raise_for_status().json()
    return {task["id"] for task in progress["tasks"] if task["state"] == "claimed" and task.get("worker") == worker}
