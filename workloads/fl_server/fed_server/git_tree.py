"""The id that git gives a folder: by it a run names the platform's code, with no commit baked into an image.

A commit's hash in an image would be another digest for the same files, which every hospital's officers would
have to approve again (docs/adr/0057). The id of a tree depends on its files alone:
https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

import hashlib
from pathlib import Path

_NOT_IN_GIT = "__pycache__"


def git_tree(folder: Path) -> str:
    """Return what `git rev-parse COMMIT:<folder>` says of a folder with these files: 40 hexadecimal digits.

    `git log --find-object=<it>` finds the commits. Raises OSError.
    """
    entries = []
    for path in folder.iterdir():
        if path.name == _NOT_IN_GIT:
            continue
        if path.is_dir():
            # git sorts a folder as if its name ended with a slash.
            entries.append((path.name + "/", "40000", path.name, git_tree(path)))
        else:
            mode = "100755" if path.stat().st_mode & 0o111 else "100644"
            entries.append((path.name, mode, path.name, _object("blob", path.read_bytes())))
    rows = sorted((key.encode(), f"{mode} {name}".encode(), found) for key, mode, name, found in entries)
    return _object("tree", b"".join(row + b"\0" + bytes.fromhex(found) for _, row, found in rows))


def _object(kind: str, content: bytes) -> str:
    header = f"{kind} {len(content)}".encode()
    return hashlib.sha1(header + b"\0" + content, usedforsecurity=False).hexdigest()
