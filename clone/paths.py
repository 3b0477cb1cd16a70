"""Where this clone and its emulator keep their files: the only module that knows these paths.

Per clone, git-ignored, everything below `home()` (``<repository>/.fed``, or the folder named by FED_HOME).
Outside the clone, shared by clones, what is costly to make again: `cache()`.
Unix sockets live in `runtime()`, because their paths may not exceed 107 bytes (``man 7 unix``).

These functions only name paths; nothing is created except by `runtime()`, `private_folder()` and
`write_private()`.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the folder of everything that belongs to this clone (FED_HOME, else ``<repository>/.fed``)."""
    named = os.environ.get("FED_HOME")
    return Path(named).expanduser().resolve() if named else REPOSITORY / ".fed"


def cache() -> Path:
    """Return the folder of what clones share: engines by version, environments, Azurite."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named).expanduser() if named else Path.home() / ".cache") / "fed"


def engine(version: str) -> Path:
    """Return the folder that holds the ``pulumi`` executable of this version."""
    return cache() / "engine" / version


def backend() -> Path:
    """Return the folder of the Pulumi file backend that emulated stacks live in."""
    return home() / "backend"


def backend_url() -> str:
    """Return the PULUMI_BACKEND_URL of emulated stacks: the only one the emulated providers serve."""
    return file_backend(backend())


def file_backend(folder: Path) -> str:
    """Return the PULUMI_BACKEND_URL of a state in this folder, without descriptions of its files.

    Pulumi puts a state in its place in one step, but first writes its description (``.attrs``) in two: a run
    that is killed between them leaves an empty one, and no command can read that state any more (``failed to
    load checkpoint: EOF``; gocloud.dev, blob/fileblob/attrs.go, and ``metadata`` in fileblob.go).
    """
    return f"file://{folder}?metadata=skip"


def emulator() -> Path:
    """Return the folder of the daemon's files."""
    return home() / "emulator"


def store() -> Path:
    """Return the SQLite file of the control plane."""
    return emulator() / "arm.sqlite"


def daemon_file() -> Path:
    """Return the file in which a running daemon says where it listens."""
    return emulator() / "daemon.json"


def daemon_log() -> Path:
    """Return the log of the daemon."""
    return emulator() / "daemon.log"


def authority() -> Path:
    """Return the certificate (PEM) of the authority that signs the emulator's own endpoints."""
    return emulator() / "ca.pem"


def authority_key() -> Path:
    """Return the private key (PEM, mode 0600) of `authority()`."""
    return emulator() / "ca.key"


def server_certificate() -> Path:
    """Return the certificate chain (PEM) that the control plane's HTTPS listener shows."""
    return emulator() / "arm.pem"


def server_key() -> Path:
    """Return the private key (PEM, mode 0600) of `server_certificate()`."""
    return emulator() / "arm.key"


def token_key() -> Path:
    """Return the key (mode 0600) that signs the emulator's bearer tokens."""
    return emulator() / "token.key"


def plugin_token() -> Path:
    """Return the file (mode 0600) with the word that plugin launchers must send."""
    return emulator() / "plugin.token"


def images() -> Path:
    """Return the folder of image snapshots, one ``sha256-<hex>`` folder each."""
    return emulator() / "images"


def datacentre() -> Path:
    """Return the folder of what the datacentre keeps: disks of VMs, blobs, its own log."""
    return home() / "datacentre"


def real_machines() -> Path:
    """Return the file that says which machines of the datacentre are real; it goes with them."""
    return datacentre() / "real.json"


def runtime() -> Path:
    """Return the short folder for this clone's Unix sockets, made on first use with mode 0700.

    Raises PermissionError when somebody else made a folder of that name: sockets in it could be theirs.
    """
    mark = hashlib.sha256(str(home()).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"fed-{os.getuid()}-{mark}"
    if len(str(folder)) > 80:
        folder = Path("/tmp") / folder.name  # noqa: S108 a long TMPDIR would break every socket below it
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise PermissionError(
            f"{folder} is not a private folder of user {os.getuid()}: "
            "another user could listen in the emulator's place. Remove it and try again."
        )
    return folder


def arm_socket() -> Path:
    """Return the Unix socket on which the control plane answers plain HTTP (for the datacentre)."""
    return runtime() / "arm.sock"


def private_folder(folder: Path) -> Path:
    """Make a folder, mode 0700, with its parents; return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(file: Path, content: bytes) -> None:
    """Write a file of mode 0600 in one step: a reader sees the old content or the new, never half."""
    private_folder(file.parent)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(temporary).replace(file)
