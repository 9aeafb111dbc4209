"""What holds for the repository as a whole: live links, readable files, nothing that belongs to one machine."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LONGEST_MODULE = 400
HOT_PATH = REPOSITORY / "operator/splai/gateway/http"
BESIDE_THE_HOT_PATH = {"asgi.py", "server.py"}
"""The bridge to the cold paths, and what begins and ends a server."""
LONGEST_HOT_PATH = 1000

_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_EXTERNAL = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)

# Written so that the patterns do not match themselves.
_FOREIGN = {
    "a path of one machine": re.compile(r"(?<![\w.$}/-])/(?:work|root|home)/[\w.]"),
    "a package registry's host": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org|registry\.npmjs\.org)\b"
    ),
    "a package index": re.compile(r"^\s*--(?:extra-)?index-url\b|^\s*index-url\s*=", re.MULTILINE),
}


def tracked_files() -> list[str]:
    """Every file that a clone holds."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def documents() -> list[str]:
    return [name for name in tracked_files() if name.endswith(".md")]


def links(text: str) -> list[str]:
    """The targets of a document's links, those in code left out."""
    return [inline or reference for inline, reference in _LINK.findall(_CODE.sub("", text))]


def anchors(text: str) -> set[str]:
    """The anchors a forge makes of a document's headings."""
    found: dict[str, int] = {}
    result = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in _HEADING.findall(re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        result.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return result


def dead_links(document: Path) -> list[str]:
    """The links of a document that lead to no file, or to no heading of it."""
    dead = []
    for link in links(document.read_text()):
        if _EXTERNAL.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            dead.append(link)
    return dead


@pytest.mark.parametrize("document", documents())
def test_links_are_alive(document: str) -> None:
    assert dead_links(REPOSITORY / document) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# First part: `code`\n\n```\n# no heading\n```\n## Same\n## Same\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#first-part-code) [c](other.md#same-1) [d](https://example.org) [e](#page)\n# Page\n"
        "[x](gone.md) [y](other.md#no-heading) [z](#gone) `[code](gone.md)`\n\n[r]: gone/too.md\n"
    )

    assert dead_links(page) == ["gone.md", "other.md#no-heading", "#gone", "gone/too.md"]


@pytest.mark.parametrize(
    "module", [name for name in tracked_files() if name.startswith("operator/splai/") and name.endswith(".py")]
)
def test_module_can_be_read_in_one_sitting(module: str) -> None:
    lines = (REPOSITORY / module).read_text().count("\n")

    assert lines <= LONGEST_MODULE, f"{module} has {lines} lines: one idea a module"


def lines_of_code(source: str) -> int:
    """Lines with anything but comments and docstrings."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for it in tokens if it.type not in blank for line in range(it.start[0], it.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def test_the_http_that_every_request_runs_through_stays_small() -> None:
    modules = [module for module in HOT_PATH.glob("*.py") if module.name not in BESIDE_THE_HOT_PATH]

    assert sum(lines_of_code(module.read_text()) for module in modules) < LONGEST_HOT_PATH


def test_comments_and_docstrings_are_no_code() -> None:
    assert lines_of_code('"""Two\nlines."""\n\n# one\nx = [\n    1,  # one\n]\n') == 3


def test_no_file_belongs_to_one_machine() -> None:
    found = []
    for name in tracked_files():
        try:
            text = (REPOSITORY / name).read_text()
        except UnicodeDecodeError:
            continue  # an image
        found += [f"{name}: {what}: {hit[0]}" for what, pattern in _FOREIGN.items() if (hit := pattern.search(text))]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "/ro" + "ot/.cache",
        "cd /wo" + "rk/main",
        "https://pypi" + ".org/simple",
        "--index" + "-url https://x",
        "/ho" + "me/me",
    ],
)
def test_foreign_words_are_recognized(text: str) -> None:
    assert any(pattern.search(text) for pattern in _FOREIGN.values())


@pytest.mark.parametrize("text", ["{root}/work/x", "docs/work/x", "$HOME/home/x", "a/root/b", "the work/life"])
def test_innocent_words_pass(text: str) -> None:
    assert not any(pattern.search(text) for pattern in _FOREIGN.values())
