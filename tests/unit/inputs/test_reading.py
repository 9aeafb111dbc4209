"""One pass makes chunks of good records, or says of bad ones what, where and how many."""

import hashlib
import json
import tracemalloc
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.api.ledger import InputManifest, SourceIdentity, Validation
from splai.artifacts import input_chunks
from splai.inputs import places, reading
from splai.inputs.errors import SourceUnavailable
from splai.inputs.reading import Progress, read_input, titles
from tests.unit.inputs.reading_site import MemoryChunks, make_order, memory_file, read

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def batch_line(custom_id: str, **body: Any) -> str:
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": {**BODY, **body}}
    )


def problems(result: InputManifest | Validation) -> list[str]:
    assert isinstance(result, Validation), result
    assert result.reason == "ValidationFailed"
    assert result.total == len(result.problems)
    return result.problems


def test_records_become_chunks_as_they_were_written() -> None:
    content = '\ufeff{"text":  "a"}\r\n\n{"text": "b\u2028"}'
    store = MemoryChunks()
    manifest = read(memory_file(content, etag="e"), store=store)
    assert manifest == InputManifest(
        attempt="a",
        first=[0],
        records=2,
        bytes=len('{"text":  "a"}\n{"text": "b\u2028"}\n'.encode()),
        format="jsonl",
        sources=[
            SourceIdentity(
                uri="memory://lines",
                bytes=len(content.encode()),
                etag="e",
                sha256=hashlib.sha256(content.encode()).hexdigest(),
            )
        ],
        spec_hash="h",
    )
    assert store.lines(manifest) == [b'{"text":  "a"}', '{"text": "b\u2028"}'.encode()]


def test_a_chunk_is_closed_when_it_is_full_and_a_long_record_has_its_own() -> None:
    sizes = [10, 3_000_000, 3_000_000, 10_000_000, 10]
    content = "".join(json.dumps({"text": "x" * size}) + "\n" for size in sizes)
    store = MemoryChunks()
    manifest = read(memory_file(content), store=store)
    assert isinstance(manifest, InputManifest)
    assert manifest.first == [0, 2, 3, 4]
    assert [len(json.loads(line)["text"]) for line in store.lines(manifest)] == sizes
    assert manifest.bytes == len(content)


@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=2), min_size=1, max_size=20), st.data())
def test_any_way_to_cut_the_stream_gives_the_same_records(records: list[dict[str, str]], data: st.DataObject) -> None:
    content = "\n".join(json.dumps({**record, "text": "t"}, ensure_ascii=False) for record in records).encode(
        errors="replace"
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    blocks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    whole, parts = MemoryChunks(), MemoryChunks()
    first, second = read(memory_file(content), store=whole), read(memory_file(blocks), store=parts)
    assert first == second
    assert whole == parts


def test_lines_of_the_batch_format_are_recognised_by_the_first() -> None:
    result = read(memory_file(batch_line("a"), "requests.jsonl"))
    assert isinstance(result, InputManifest)
    assert result.format == "openai-batch"


@pytest.mark.parametrize(
    ("uris", "want"),
    [
        (["s3://b/day/a.jsonl"], [""]),
        (["s3://b/day/a.jsonl", "s3://b/day/ab.jsonl"], ["a.jsonl", "ab.jsonl"]),
        (["s3://b/day/1/a.jsonl", "s3://b/day/2/a.jsonl"], ["1/a.jsonl", "2/a.jsonl"]),
        (["s3://b/day", "s3://b/day/a"], ["day", "day/a"]),
    ],
)
def test_of_several_files_each_is_called_by_what_tells_it_apart(uris: list[str], want: list[str]) -> None:
    assert titles(uris) == want


@pytest.mark.parametrize("number", [1, 7])
def test_all_files_are_one_input_and_each_counts_its_own_lines(number: int) -> None:
    lines = ['{"text": "a"}\n{"text": 5}', "text\nb\n", '\n{"text": 6}']
    files = [memory_file(lines[0], "a.jsonl"), memory_file(lines[1], "b.csv"), memory_file(lines[2], f"c{number}")]
    assert problems(read(*files)) == [
        "record 2 (a.jsonl line 2): text must be text, not a number",
        f"record 4 (c{number} line 2): text must be text, not a number",
    ]


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ("", "spec.input: holds no record"),
        (" \n\r\n", "spec.input: holds no record"),
        (b'{"text": "\xff"}', "record 1 (line 1): not valid UTF-8 at byte 11 of the line"),
        ('{"text": NaN}', "record 1 (line 1): not valid JSON: NaN is not a JSON number"),
        ('{"text": "a"}\n\n{"a', "record 2 (line 3, column 2): not valid JSON: Unterminated string starting at"),
        (b"\x1f\x8bjunk", "spec.input: the gzip data are damaged; nothing after it was read"),
        ("x" * 16_000_000, "spec.input: line 1 is longer than 15 MiB; nothing after it was read"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(content: str | bytes, want: str) -> None:
    assert problems(read(memory_file(content))) == [want]


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"custom_id": None}, "custom_id must be a text that is not empty"),
        ({"method": "GET"}, "method must be POST"),
        ({"url": "/v1/embeddings"}, "url must be /v1/chat/completions, as the job's type says"),
        ({"body": {**BODY, "stream": True}}, "body.stream must not be true: a batch's answers are whole"),
    ],
)
def test_a_batch_line_that_makes_no_request_is_told_with_its_line(fields: dict[str, Any], want: str) -> None:
    bad = json.dumps({**json.loads(batch_line("b")), **fields})
    assert problems(read(memory_file(f"{batch_line('a')}\n{bad}\n"))) == [f"record 2 (line 2): {want}"]


def test_a_custom_id_that_comes_twice_is_told_with_both_lines() -> None:
    lines = [batch_line("a"), "", batch_line("b"), batch_line("a"), batch_line("a")]
    assert problems(read(memory_file("\n".join(lines)))) == [
        "record 3 (line 4): custom_id 'a' is also that of record 1 (line 1)",
        "record 4 (line 5): custom_id 'a' is also that of record 1 (line 1)",
    ]


def test_a_custom_id_may_not_take_the_name_of_another_record() -> None:
    content = 'oops\n{"text": "a", "custom_id": "record-3"}\n{"text": "b"}\n'
    assert problems(read(memory_file(content))) == [
        "record 1 (line 1, column 1): not valid JSON: Expecting value",
        "record 3 (line 3): custom_id 'record-3' is also that of record 2 (line 2)",
    ]


def test_duplicates_in_many_chunks_and_files_are_found() -> None:
    lines = [batch_line(f"request-{number}", pad="x" * 2000) for number in range(6000)]
    lines[4321] = batch_line("request-17")
    files = [memory_file("\n".join(lines[:3000]), "a"), memory_file("\n".join(lines[3000:]), "b")]
    assert problems(read(*files)) == [
        "record 4322 (b line 1322): custom_id 'request-17' is also that of record 18 (a line 18)"
    ]


def test_hashes_that_collide_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splai.inputs.custom_ids.hash", len, raising=False)
    monkeypatch.setattr("splai.inputs.reading.hash", len, raising=False)
    assert isinstance(read(memory_file("\n".join(map(batch_line, "abc")))), InputManifest)
    assert len(problems(read(memory_file("\n".join(map(batch_line, "abca")))))) == 1


def test_beyond_the_places_that_are_remembered_records_are_named_by_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "MOST_CHANGES", 2)
    lines = ["", batch_line("a"), "", batch_line("b"), "", batch_line("c"), batch_line("b"), batch_line("a")]
    assert problems(read(memory_file("\n".join(lines)))) == [
        "record 4: custom_id 'b' is also that of record 2",
        "record 5: custom_id 'a' is also that of record 1 (line 2)",
    ]


def test_the_first_twenty_problems_are_told_and_all_are_counted() -> None:
    lines = ["oops" if number % 2 else batch_line("same") for number in range(1000)]
    result = read(memory_file("\n".join(lines), "lines.jsonl"))
    assert isinstance(result, Validation)
    assert len(result.problems) == 20
    assert result.problems[19].startswith("record 40 (line 40, column 1)")
    assert result.total == 500 + 499


def test_more_duplicates_than_are_told_are_counted() -> None:
    result = read(memory_file("\n".join([batch_line("a"), *(batch_line("b") for _ in range(100))])))
    assert isinstance(result, Validation)
    assert (len(result.problems), result.total) == (20, 99)


@pytest.mark.parametrize(
    ("order", "want"),
    [
        ({"parameters": {"n": 2}}, "spec.parameters.n: cannot be set here, SPLAI sets it for each record"),
        ({"prompt": {"template": "{{ a "}}, "spec.prompt.template: line 1: unexpected end of template"),
        (
            {"source": {"persistentVolumeClaim": None, "failedOf": {"name": "first"}, "format": "csv"}},
            "spec.input.format: the records of a job are JSON, not a file in csv format",
        ),
    ],
)
def test_a_spec_that_cannot_be_good_costs_no_reading(order: dict[str, Any], want: str) -> None:
    file = memory_file("oops")
    (problem,) = problems(read(file, **order))
    assert problem.startswith(want)
    assert file.taken == 0


def test_a_prompt_for_batch_lines_ends_the_reading_at_the_first() -> None:
    file = memory_file([(batch_line(str(number)) + "\n").encode() for number in range(100)])
    assert problems(read(file, prompt={"template": "{{ a }}"})) == [
        "spec.prompt: lines in openai-batch format bring their own requests; set input.format: jsonl"
    ]
    assert file.taken <= 2


def test_a_template_is_rendered_for_every_record() -> None:
    content = "subject,body\na,b\n"
    assert isinstance(read(memory_file(content, "a.csv"), prompt={"template": "{{ subject }}"}), InputManifest)
    assert problems(read(memory_file(content, "a.csv"), prompt={"template": "{{ text }}"})) == [
        "record 1 (line 2): the template uses 'text', which the record does not have; it has: subject, body"
    ]


def test_beyond_the_limit_nothing_is_read() -> None:
    first, second = memory_file([b'{"text": "a"}\n', b'{"text": "b"}\n', b"oops\n"]), memory_file("oops")
    store = MemoryChunks()
    manifest = read(first, second, store=store, source={"limit": 2})
    assert isinstance(manifest, InputManifest)
    assert store.lines(manifest) == [b'{"text": "a"}', b'{"text": "b"}']
    assert (first.taken, second.taken) == (2, 0)
    assert [(it.bytes, it.sha256) for it in manifest.sources] == [(28, None)]


def test_a_limit_counts_over_all_files() -> None:
    manifest = read(*(memory_file('{"text": "a"}\n' * 2) for _ in range(3)), source={"limit": 3})
    assert isinstance(manifest, InputManifest)
    assert manifest.records == 3
    assert len(manifest.sources) == 2


def test_of_many_files_the_manifest_names_the_first_and_counts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_SOURCES", 2)
    manifest = read(*(memory_file('{"text": "a"}', f"{number}") for number in range(5)))
    assert isinstance(manifest, InputManifest)
    assert [it.uri for it in manifest.sources] == ["memory://0", "memory://1"]
    assert (manifest.records, manifest.more_sources) == (5, 3)


def violation(*lines: str, **limits: int) -> Validation:
    result = read(memory_file("\n".join(lines)), limits=limits, policy="small")
    assert isinstance(result, Validation)
    return result


def test_more_records_than_the_policy_allows_end_the_reading() -> None:
    assert violation(*['{"text": "a"}'] * 100, max_records=2) == Validation(
        reason="PolicyViolation",
        problems=["spec.input: holds more than the 2 records that the policy small allows"],
        total=1,
    )
    assert isinstance(read(memory_file('{"text": "a"}\n' * 2), limits={"max_records": 2}), InputManifest)


def test_a_limit_keeps_a_trial_within_the_policy() -> None:
    result = read(memory_file('{"text": "a"}\n' * 9), limits={"max_records": 2}, source={"limit": 2})
    assert isinstance(result, InputManifest)


def test_more_tokens_than_the_policy_allows_are_told_of_each_record() -> None:
    lines = [batch_line("a", max_tokens=64), batch_line("b", max_tokens=65)]
    assert violation(*lines, max_tokens=64) == Validation(
        reason="PolicyViolation",
        problems=["record 2 (line 2): body.max_tokens: 65 is more than the 64 that the policy small allows"],
        total=1,
    )


def test_a_violation_among_other_problems_is_one_of_them() -> None:
    result = violation(batch_line("a", max_tokens=65), "oops", max_tokens=64)
    assert (result.reason, result.total) == ("ValidationFailed", 2)


def test_the_wrong_checksum_is_a_changed_input() -> None:
    good = hashlib.sha256(b'{"text": "a"}').hexdigest()
    assert isinstance(read(memory_file('{"text": "a"}', wanted_sha256=good)), InputManifest)
    assert read(memory_file('{"text": "b"}', wanted_sha256=good)) == Validation(
        reason="InputChanged", problems=["memory://lines does not have the sha256 that the job's spec says"], total=1
    )


def test_a_checksum_is_of_all_bytes_also_of_those_beyond_the_limit() -> None:
    content = b'{"text": "a"}\noops'
    file = memory_file([content[:14], content[14:]], wanted_sha256=hashlib.sha256(content).hexdigest())
    result = read(file, source={"limit": 1})
    assert isinstance(result, InputManifest)
    assert result.sources[0].bytes == len(content)


def test_a_source_that_is_away_is_no_verdict_on_the_input() -> None:
    class Away(type(memory_file(""))):  # type: ignore[misc]
        def read(self) -> Any:
            raise SourceUnavailable("it is away")

    with pytest.raises(SourceUnavailable):
        read(Away(uri="a", name="a", blocks=[]))


def test_progress_is_seen_while_the_reading_goes_on() -> None:
    progress = Progress()
    file = memory_file('{"text": "a"}\n' * 1000)
    read_input(make_order(), lambda: [file], MemoryChunks(), attempt="a", progress=progress)
    assert (progress.records, progress.bytes) == (1000, 14_000)


def test_no_problem_quotes_a_content() -> None:
    lines = ['{"text": {"secret": "secret"}}', "secret", '{"secret', '{"text": "secret", "custom_id": 5}']
    result = read(memory_file("\n".join(lines)), prompt={"system": "{{ text.a }}"})
    assert isinstance(result, Validation)
    assert "secret" not in " ".join(result.problems).replace("it has: secret", "")


def peak_memory(records: int) -> int:
    class Forgetful(MemoryChunks):
        def begin_create(self, path: str, content: bytes) -> None:
            """Keep nothing."""

    lines = (f'{{"text":"{number}"}}\n'.encode() * 100 for number in range(records // 100))
    file = memory_file(cast("Sequence[bytes]", lines))
    tracemalloc.start()
    try:
        assert isinstance(read(file, store=Forgetful()), InputManifest)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_by_eight_bytes_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_chunks, "CHUNK_BYTES", 10_000)
    few, many = peak_memory(5_000), peak_memory(25_000)
    assert many - few < 20_000 * 8 * 1.25, "an array is a little larger than what it holds"
