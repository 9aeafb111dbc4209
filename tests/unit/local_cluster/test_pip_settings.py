"""The machine's pip settings as they reach an image build."""

from pathlib import Path

from local_cluster.pip_settings import collect


def test_the_environment_wins_over_files(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\ntimeout = 60\n")

    settings, _ = collect({"PIP_INDEX_URL": "https://environment.example/simple"}, [file])

    assert settings == {"index-url": "https://environment.example/simple", "timeout": "60"}


def test_a_later_file_wins_over_an_earlier(tmp_path: Path) -> None:
    system, user = tmp_path / "system.conf", tmp_path / "user.conf"
    system.write_text("[global]\ntimeout = 10\n")
    user.write_text("[global]\ntimeout = 60\n")

    settings, _ = collect({}, [system, tmp_path / "absent.conf", user])

    assert settings == {"timeout": "60"}


def test_certificates_are_a_file_of_their_own(tmp_path: Path) -> None:
    bundle = tmp_path / "company.pem"
    bundle.write_text("certificates")

    settings, certificates = collect({"PIP_CERT": str(bundle)}, [])

    assert settings == {}
    assert certificates == bundle


def test_folders_of_this_machine_do_not_reach_the_build() -> None:
    settings, _ = collect({"PIP_FIND_LINKS": "/opt/wheels https://links.example/", "PIP_CACHE_DIR": "/var/pip"}, [])

    assert settings == {"find-links": "https://links.example/"}
