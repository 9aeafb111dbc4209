"""The newest word about an object wins, from wherever it comes, and a list finds what was missed."""

import json
from typing import Any

import pytest

from splai.api.model_backend import ModelBackend
from splai.core.observed import controller_uid
from splai.kube.cache import Collection
from splai.kube.resource import JOBS, MODEL_BACKENDS


def job(name: str, version: int, *, uid: str = "", owner: str | None = None, note: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": "a",
        "name": name,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "annotations": {"note": note},
    }
    if owner:
        metadata["ownerReferences"] = [{"uid": "other", "controller": False}, {"uid": owner, "controller": True}]
    return {"metadata": metadata}


@pytest.fixture
def jobs() -> Collection[dict[str, Any]]:
    return Collection(JOBS, lambda body: body["metadata"], index=controller_uid)


class Shelf:
    """Takes what is noted to be over, and counts what it packs and unpacks."""

    def __init__(self) -> None:
        self.packed = 0
        self.unpacked = 0

    def takes(self, value: dict[str, Any]) -> bool:
        return bool(value["annotations"]["note"] == "over")

    def pack(self, value: dict[str, Any]) -> bytes:
        self.packed += 1
        return json.dumps(value).encode()

    def unpack(self, packed: bytes) -> dict[str, Any]:
        self.unpacked += 1
        value: dict[str, Any] = json.loads(packed)
        return value


def names(collection: Collection[dict[str, Any]]) -> list[str]:
    return sorted(entry.name for entry in collection)


def test_an_object_is_found_by_name_by_uid_and_by_its_controller(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("b", 2, owner="o"))
    jobs.put(job("a", 1, owner="o"))
    jobs.put(job("c", 3, owner="p"))

    by_name, by_uid = jobs.get("a", "a"), jobs.by_uid("uid-b")

    assert by_name is not None
    assert by_name.uid == "uid-a"
    assert by_uid is not None
    assert by_uid.name == "b"
    assert [entry.name for entry in jobs.indexed("o")] == ["a", "b"]
    assert jobs.indexed("nobody") == ()


@pytest.mark.parametrize("version", [4, 5])
def test_an_older_or_equal_version_changes_nothing(jobs: Collection[dict[str, Any]], version: int) -> None:
    jobs.put(job("a", 5, note="new"))

    assert jobs.put(job("a", version, note="late")) is None

    entry = jobs.get("a", "a")
    assert entry is not None
    assert entry.value["annotations"]["note"] == "new"


def test_a_write_that_was_answered_with_metadata_changes_what_is_known(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 5, owner="o", note="old"))

    revised = jobs.revise(job("a", 6)["metadata"], lambda value: {**value, "annotations": {"note": "ours"}})

    assert revised is not None
    assert (revised.version, revised.value["annotations"]["note"]) == (6, "ours")
    assert jobs.indexed("o") == (revised,)
    assert jobs.put(job("a", 6, owner="o", note="the watch's word")) is None


@pytest.mark.parametrize("known", [[], [7]], ids=["nothing", "newer"])
def test_a_late_answer_to_a_write_changes_nothing(jobs: Collection[dict[str, Any]], known: list[int]) -> None:
    for version in known:
        jobs.put(job("a", version))

    assert jobs.revise(job("a", 6)["metadata"], lambda value: {}) is None

    assert [entry.version for entry in jobs] == known
    assert jobs.highest_version == max([6, *known])


def test_what_is_over_is_packed_away_and_looks_the_same_to_everybody() -> None:
    shelf = Shelf()
    jobs = Collection(JOBS, lambda body: body["metadata"], index=controller_uid, shelf=shelf)
    over = job("a", 2, owner="o", note="over")

    first = jobs.put(over)
    assert (shelf.packed, shelf.unpacked) == (1, 0)

    assert first == jobs.get("a", "a") == jobs.by_uid("uid-a")
    assert jobs.indexed("o") == (first,) == tuple(jobs)
    assert first is not None
    assert first.value == over["metadata"]
    assert jobs.remove(job("a", 3)) == first
    assert jobs.indexed("o") == ()


def test_what_is_over_is_not_unpacked_to_know_that_it_is_there_or_that_it_is_no_news() -> None:
    shelf = Shelf()
    jobs = Collection(JOBS, lambda body: body["metadata"], index=controller_uid, shelf=shelf)
    jobs.put(job("a", 2, owner="o", note="over"))

    assert jobs.knows("uid-a")
    assert jobs.place("uid-a") == ("a", "a")
    assert jobs.sizes() == {"o": 1}
    assert jobs.places("o") == [("a", "a")]
    assert jobs.places("p") == []
    assert not jobs.is_news(job("a", 2))
    assert jobs.put(job("a", 2)) is None
    with jobs.replacement(None) as replacement:
        replacement.add(job("a", 2))
        assert replacement.finish(9) == ()
    assert shelf.unpacked == 0


def test_a_write_may_end_an_object_and_another_one_may_revive_it() -> None:
    jobs: Collection[dict[str, Any]] = Collection(
        JOBS, lambda body: body["metadata"], index=lambda value: value["annotations"]["note"], shelf=Shelf()
    )
    jobs.put(job("a", 2, note="runs"))

    for version, note in ((3, "over"), (4, "runs")):
        noted = job("a", version, note=note)["metadata"]
        revised = jobs.revise(noted, lambda _, noted=noted: noted)  # type: ignore[misc]
        assert revised == jobs.get("a", "a")
        assert jobs.sizes() == {note: 1}


def test_an_object_that_cannot_be_read_is_left_out_and_its_fields_are_logged_without_their_contents(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backends: Collection[ModelBackend] = Collection(
        MODEL_BACKENDS, ModelBackend.model_validate, index=lambda backend: backend.spec.model.id
    )
    unreadable = job("bad", 1) | {"spec": {"model": {"id": ["a secret"]}}}

    assert backends.put(unreadable) is None
    assert backends.put(job("good", 2) | {"spec": {"model": {"id": "m"}}}) is not None

    assert [entry.name for entry in backends] == ["good"]
    assert backends.knows("uid-bad"), "it is there: what belongs to it is not to be cleaned up"
    (record,) = caplog.records
    assert (record.__dict__["object"], record.__dict__["fields"]) == ("ModelBackend a/bad", "spec.model.id")
    assert "secret" not in str(record.__dict__)


def readable(body: dict[str, Any]) -> dict[str, Any]:
    """Refuses what is noted to be bad, as a model does."""
    ModelBackend.model_validate({**body, "spec": {"model": {"id": 1 if note_of(body) == "bad" else "m"}}})
    metadata: dict[str, Any] = body["metadata"]
    return metadata


def note_of(body: dict[str, Any]) -> str:
    note: str = body["metadata"]["annotations"]["note"]
    return note


@pytest.fixture
def with_bad() -> Collection[dict[str, Any]]:
    """One object that cannot be read."""
    jobs = Collection(JOBS, readable, index=controller_uid)
    jobs.put(job("bad", 5, note="bad"))
    return jobs


def test_an_object_that_cannot_be_read_is_known_until_it_is_deleted(with_bad: Collection[dict[str, Any]]) -> None:
    with_bad.remove(job("bad", 6, note="bad"))

    assert not with_bad.knows("uid-bad")


def test_an_object_that_can_be_read_again_is_one_like_all_others(with_bad: Collection[dict[str, Any]]) -> None:
    with_bad.put(job("bad", 6))
    with_bad.remove(job("bad", 7))

    assert not with_bad.knows("uid-bad")


@pytest.mark.parametrize(
    ("namespace", "listed", "version", "known"),
    [
        (None, True, 9, True),
        (None, False, 9, False),
        ("a", False, 9, False),
        ("b", False, 9, True),
        (None, False, 4, True),
    ],
    ids=["listed", "not listed", "nor in its namespace", "another namespace", "a list of before"],
)
def test_an_object_that_cannot_be_read_is_known_until_a_list_does_not_have_it(
    with_bad: Collection[dict[str, Any]], namespace: str | None, listed: bool, version: int, known: bool
) -> None:
    with with_bad.replacement(namespace) as replacement:
        if listed:
            replacement.add(job("bad", 5, note="bad"))
        replacement.finish(version)

    assert with_bad.knows("uid-bad") is known


def test_versions_are_compared_as_numbers(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 9))

    assert jobs.put(job("a", 10)) is not None


def test_a_change_of_the_controller_moves_the_object_in_the_index(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 1, owner="o"))

    jobs.put(job("a", 2, owner="p"))

    assert jobs.indexed("o") == ()
    assert [entry.name for entry in jobs.indexed("p")] == ["a"]


def test_a_successor_of_the_same_name_replaces_and_a_late_word_about_the_first_is_ignored(
    jobs: Collection[dict[str, Any]],
) -> None:
    jobs.put(job("a", 1, uid="first"))
    jobs.put(job("a", 5, uid="second"))

    assert jobs.put(job("a", 3, uid="first")) is None

    entry = jobs.get("a", "a")
    assert entry is not None
    assert entry.uid == "second"
    assert jobs.by_uid("first") is None


def test_a_late_deletion_of_the_first_leaves_its_successor(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 5, uid="second"))

    assert jobs.remove(job("a", 4, uid="first")) is None

    assert names(jobs) == ["a"]


def test_a_list_removes_what_it_does_not_have(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("gone", 1))
    jobs.put(job("kept", 2))

    with jobs.replacement(None) as replacement:
        replacement.add(job("kept", 2))
        missing = replacement.finish(10)

    assert [entry.name for entry in missing] == ["gone"]
    assert names(jobs) == ["kept"]


def test_a_list_does_not_remove_what_was_made_after_it(jobs: Collection[dict[str, Any]]) -> None:
    with jobs.replacement(None) as replacement:
        jobs.put(job("newer", 11))
        missing = replacement.finish(10)

    assert missing == ()
    assert names(jobs) == ["newer"]


def test_a_list_does_not_bring_back_what_was_deleted_while_it_was_read(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 1))
    with jobs.replacement(None) as replacement:
        jobs.remove(job("a", 12))
        assert replacement.add(job("a", 1)) is None
        replacement.finish(10)

    assert names(jobs) == []


def test_a_list_of_one_namespace_leaves_the_others(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 1))

    with jobs.replacement("b") as replacement:
        assert replacement.finish(10) == ()

    assert names(jobs) == ["a"]


def test_the_highest_version_is_of_objects_deletions_and_lists(jobs: Collection[dict[str, Any]]) -> None:
    jobs.put(job("a", 7))
    assert jobs.highest_version == 7

    jobs.remove(job("a", 8))
    assert jobs.highest_version == 8

    with jobs.replacement(None) as replacement:
        replacement.finish(20)
    assert jobs.highest_version == 20
