"""What a machine and a user must have for the local cluster, and how the machine gets back what was changed."""

from pathlib import Path

import pytest

from local_cluster import host
from local_cluster.errors import ClusterError


def test_a_user_without_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")

    with pytest.raises(ClusterError) as refused:
        host.require_root()

    message = str(refused.value)
    assert "you are ada" in message
    assert all(way in message for way in ("start Docker", "sudo make cluster", "CLUSTER=current"))


def test_another_system_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")

    with pytest.raises(ClusterError, match=r"needs Linux\. Start Docker"):
        host.require_root()


def test_without_root_what_the_tests_need_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(host, "_POSTGRES", tmp_path)

    with pytest.raises(
        ClusterError, match=r"missing: g\+\+, openssl, postgresql, redis-server \(Debian's package names\)"
    ):
        host.install_test_packages()


def test_packages_are_installed_when_another_installation_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda command: command if command == "apt-get" else None)
    monkeypatch.setattr(host, "_POSTGRES", tmp_path)
    monkeypatch.setattr(host, "run", lambda *words, **_: commands.append(" ".join(words)))

    host.install_test_packages()

    assert commands == [
        "apt-get -o DPkg::Lock::Timeout=300 update",
        "apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends g++ openssl postgresql redis-server",
    ]


def test_the_newest_postgres_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9.6", "15", "16"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    monkeypatch.setattr(host, "_POSTGRES", tmp_path)

    assert host.postgres_programs() == tmp_path / "16" / "bin"


def test_only_folders_that_were_absent_before_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, made = tmp_path / "kept", tmp_path / "made"
    kept.mkdir()
    monkeypatch.setattr(host, "_FOLDERS", (str(kept), str(made)))
    monkeypatch.setattr(host, "_SYSCTLS", ())
    record = tmp_path / "host.json"

    host.remember(record)
    made.mkdir()
    host.remember(record)  # a second start must not take what the first has made for the machine's own
    host.restore(record)

    assert kept.exists()
    assert not made.exists()
    assert not record.exists()
