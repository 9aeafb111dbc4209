"""What a trace shows of a real worker process, as it arrives at a collector."""

from tests.unit.artifacts.conftest import cluster, server
from tests.unit.trace_collector import running_collector
from tests.unit.worker.test_process import Site, questions, site

__all__ = ["cluster", "server", "site"]  # fixtures


async def test_a_task_is_a_trace_from_claim_to_commit_with_a_span_for_each_request(site: Site) -> None:
    order = await site.plan([*questions(5), "fault:400"])
    with running_collector() as collector:
        process = await site.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        logs, _ = await process.communicate()

    assert process.returncode == 0, logs.decode()
    tasks = {span.span_id: span for span in collector.of_kind("internal")}
    requests = collector.of_kind("client")
    assert {span.service for span in collector.spans} == {"splai-worker"}
    assert {span.attributes["splai.task.id"] for span in tasks.values()} == {task.id for task in order.tasks}
    assert sum(span.attributes["splai.task.records"] for span in tasks.values()) == 6
    assert sum(span.attributes["splai.task.completed"] for span in tasks.values()) == 5
    assert sum(span.attributes["splai.task.failed"] for span in tasks.values()) == 1
    assert {span.attributes["splai.record.position"] for span in requests} == set(range(6))
    assert all(span.trace_id == tasks[span.parent_id].trace_id for span in requests)
    assert [span.attributes["error.type"] for span in requests if span.is_error] == ["400"]
    assert site.engine.traceparents == {f"00-{span.trace_id}-{span.span_id}-03" for span in requests}


async def test_records_and_answers_are_in_no_span(site: Site) -> None:
    await site.plan(["question about the moon", "fault:400", "fault:garbage"], retry={"max_attempts": 1})
    with running_collector() as collector:
        process = await site.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        await process.communicate()

    assert collector.spans
    for word in (b"moon", b"echo", b"fault", b"html"):
        assert word not in collector.received


async def test_a_task_that_the_sampler_leaves_out_has_no_requests_either(site: Site) -> None:
    await site.plan(questions(3))
    with running_collector() as collector:
        process = await site.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="always_off")
        await process.communicate()

    assert not collector.spans
    assert {int(header.rpartition("-")[2], 16) & 1 for header in site.engine.traceparents} == {0}


async def test_a_job_does_not_fail_because_of_its_traces(site: Site) -> None:
    order = await site.plan(questions(3))
    nobody_there = "http://127.0.0.1:9"
    for pod, variables in (
        ("pod-a", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": nobody_there}),
        ("pod-b", {"OTEL_EXPORTER_OTLP_ENDPOINT": nobody_there}),
    ):
        process = await site.start(pod=pod, **variables)
        logs, _ = await process.communicate()

        assert process.returncode == 0, logs.decode()
        assert (b"there are no traces" in logs) == (pod == "pod-a")
    await site.check(order)
