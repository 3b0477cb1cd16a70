"""A run names the platform's code as git does."""

import subprocess
from pathlib import Path

from fed_server.git_tree import git_tree

from clone import paths

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_it_is_what_git_says_of_a_folder(tmp_path: Path) -> None:
    code = tmp_path / "code"
    for name, content in {
        "a.py": b"x = 1\n",
        "a/b.py": b"",
        "a-b.py": b"\x00\xff",
        "a0/c/d.json": b"{}",
        "\u00e4.txt": b"umlaut",
    }.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_bytes(content)
    (code / "run").write_text("#!/bin/sh\n")
    (code / "run").chmod(0o755)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert git_tree(code) == git(tmp_path, "rev-parse", "HEAD:code")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.pyc").write_bytes(b"made")
    assert git_tree(code) == git(tmp_path, "rev-parse", "HEAD:code")
    assert git(tmp_path, "log", "--format=%s", f"--find-object={git_tree(code)}") == "first"
    (code / "a.py").write_text("x = 2\n")
    assert git_tree(code) != git(tmp_path, "rev-parse", "HEAD:code")


def test_the_servers_image_has_no_folder_that_git_has_not() -> None:
    """Its code is one folder, copied whole: the id of what runs is that of a folder in git."""
    dockerfile = (paths.REPOSITORY / "workloads/fl_server/Dockerfile").read_text()
    assert "\nCOPY fl_server/fed_server /app/fed_server\n" in dockerfile
