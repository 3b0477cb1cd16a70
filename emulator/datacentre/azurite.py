"""Azurite, the one blob store behind all emulated accounts.

Installed on first use (`installed`). It runs on the sandbox's own loopback, where only the front door reaches
it, and knows every account (`any-account.cjs`). What it holds follows ARM: containers are made when they are
first used, and removed when ARM has them no more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Iterable
from urllib.parse import quote
from xml.etree import ElementTree

import aiohttp

from emulator.arm import certificates
from emulator.datacentre import installed
from emulator.datacentre.errands import Errands
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.settings import Settings
from emulator.datacentre.tokens import Identity, Issuer

_ANY_ACCOUNT = installed.AZURITE_LOCK.with_name("any-account.cjs")
_PORT = 10000
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_VERSION = "2021-12-02"
_AUDIENCE = "https://storage.azure.com"
_TENANT = "00000000-0000-0000-0000-000000000000"

log = logging.getLogger(__name__)


class Azurite:
    """The store's process and what is known to be in it."""

    def __init__(self, settings: Settings, errands: Errands, issuer: Issuer) -> None:
        self.url = f"https://127.0.0.1:{_PORT}"
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, limit=200),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        )
        self._settings = settings
        self._errands = errands
        self._issuer = issuer
        self._starting: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._made: set[str] = set()
        self._held = self._load()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to install and start it, unless that has begun."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())

    @property
    def pending(self) -> bool:
        """Whether it has been asked to start and is not there yet."""
        return self._starting is not None and not self._starting.done()

    @property
    def problem(self) -> str | None:
        """Why it could not start, for a person to read."""
        if self._starting is None or not self._starting.done() or self._starting.cancelled():
            return None
        failed = self._starting.exception()
        return str(failed) if failed else None

    async def ready(self) -> None:
        """Wait until it answers; raise DatacentreError when it cannot start."""
        self.start()
        if self._starting is not None:
            await asyncio.shield(self._starting)

    async def ensure_container(self, account: str, container: str, mark: str) -> None:
        """Make a container unless it is known to be there.

        The mark tells an account from an earlier one of the same name, whose blobs it must not inherit.
        """
        await self.ready()
        key = _key(account, container)
        if key in self._made and self._held.get(key) == mark:
            return
        async with self._lock:
            if self._held.get(key, mark) != mark:
                await self._remove(account, container)
            self._note(key, mark)
            status = await self._admin("PUT", account, container)
            if status not in {201, 409}:
                raise DatacentreError(f"Azurite answers {status} to making {key}")
            self._made.add(key)

    async def upload(self, account: str, container: str, blob: str, content: bytes) -> bool:
        """Write a block blob unless it has this content already; say whether it was written."""
        url = f"{self.url}/{quote(container)}/{quote(blob)}"
        headers = self._headers(account)
        async with self.session.get(url, headers=headers) as found:
            if found.status == 200 and await found.read() == content:
                return False
        headers["x-ms-blob-type"] = "BlockBlob"
        async with self.session.put(url, headers=headers, data=content) as answer:
            if answer.status != 201:
                raise DatacentreError(
                    f"Azurite answers {answer.status} to writing {account}/{container}/{blob}"
                )
        return True

    async def delete(self, account: str, container: str, blob: str) -> None:
        """Delete a blob; one that is not there is none."""
        url = f"{self.url}/{quote(container)}/{quote(blob)}"
        async with self.session.delete(url, headers=self._headers(account)) as answer:
            if answer.status not in {202, 404}:
                raise DatacentreError(
                    f"Azurite answers {answer.status} to deleting {account}/{container}/{blob}"
                )

    async def blobs(self, account: str, container: str) -> dict[str, str]:
        """Return the blobs of a container, each with its MD5 in base64 (empty where the writer gave none)."""
        if _key(account, container) not in self._held:
            return {}
        await self.ready()
        found: dict[str, str] = {}
        marker: str | None = ""
        while marker is not None:
            url = f"{self.url}/{quote(container)}?restype=container&comp=list&marker={quote(marker)}"
            async with self.session.get(url, headers=self._headers(account)) as answer:
                if answer.status != 200:
                    raise DatacentreError(f"Azurite answers {answer.status} to listing {account}/{container}")
                page = ElementTree.fromstring(await answer.text())  # noqa: S314 Azurite is ours
            for blob in page.iter("Blob"):
                found[blob.findtext("Name", "")] = blob.findtext("Properties/Content-MD5") or ""
            marker = page.findtext("NextMarker") or None
        return found

    def note_container(self, account: str, container: str, mark: str) -> None:
        """Take note that a container was made by a request that passed through."""
        key = _key(account, container)
        self._made.add(key)
        self._note(key, mark)

    def forget_container(self, account: str, container: str) -> None:
        """Take note that a container is gone."""
        self._made.discard(_key(account, container))
        self._held.pop(_key(account, container), None)
        self._save()

    def keep(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Begin to remove the containers that are not among these (account, container)."""
        kept = {_key(account, container) for account, container in wanted}
        if self._held.keys() - kept:
            task = asyncio.create_task(self._remove_others(kept))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _remove_others(self, kept: set[str]) -> None:
        await self.ready()
        async with self._lock:
            for key in sorted(self._held.keys() - kept):
                account, _, container = key.partition("/")
                await self._remove(account, container)

    async def _remove(self, account: str, container: str) -> None:
        status = await self._admin("DELETE", account, container)
        if status not in {202, 404}:
            raise DatacentreError(f"Azurite answers {status} to removing {account}/{container}")
        self.forget_container(account, container)

    async def close(self) -> None:
        """End it so that everything is on disk."""
        for task in (self._watching, self._starting, *self._tasks):
            if task and not task.done():
                task.cancel()
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
        await self.session.close()

    async def _start(self) -> None:
        run = self._errands.into(self._settings.state / "azurite.log")
        folder, node = await installed.azurite(self._settings.cache, run)
        location = self._settings.state / "blobs"
        location.mkdir(mode=0o700, exist_ok=True)
        certificate, key = self._settings.volatile / "azurite.pem", self._settings.volatile / "azurite.key"
        certificates.ensure_certificate(
            certificate,
            key,
            names=("127.0.0.1",),
            authority=self._settings.authority,
            authority_key=self._settings.authority_key,
        )
        with (self._settings.state / "azurite.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(node, "--require", str(_ANY_ACCOUNT)),
                "node_modules/azurite/dist/src/blob/main.js",
                *("--blobHost", "127.0.0.1", "--blobPort", str(_PORT), "--location", str(location)),
                *("--silent", "--skipApiVersionCheck", "--disableTelemetry", "--oauth", "basic"),
                *("--cert", str(certificate), "--key", str(key)),
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        async with asyncio.timeout(_START_SECONDS):
            while not await self._answers():
                if self._process.returncode is not None:
                    raise DatacentreError(
                        f"Azurite ended with {self._process.returncode} before it answered: "
                        f"{self._settings.state / 'azurite.log'} says why"
                    )
                await asyncio.sleep(0.02)
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Start it again when it ends by itself."""
        if self._process:
            code = await self._process.wait()
            log.error("Azurite ended with %d; starting it again", code)
            self._made.clear()
            self._starting = asyncio.create_task(self._start())

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", _PORT)
        except OSError:
            return False
        writer.close()
        return True

    async def _admin(self, method: str, account: str, container: str) -> int:
        """Send a request of the datacentre's own on a container; return the status."""
        url = f"{self.url}/{quote(container)}?restype=container"
        async with self.session.request(method, url, headers=self._headers(account)) as answer:
            return answer.status

    def _headers(self, account: str) -> dict[str, str]:
        """Return what a request of the datacentre's own carries."""
        nobody = Identity(
            id="datacentre", client_id="datacentre", principal_id="datacentre", tenant_id=_TENANT
        )
        token, _ = self._issuer.issue(nobody, _AUDIENCE)
        host = f"{account}.blob.core.windows.net"
        return {"Host": host, "Authorization": f"Bearer {token}", "x-ms-version": _VERSION}

    def _note(self, key: str, mark: str) -> None:
        if self._held.get(key) != mark:
            self._held[key] = mark
            self._save()

    def _load(self) -> dict[str, str]:
        record = self._settings.containers
        return json.loads(record.read_text()) if record.exists() else {}

    def _save(self) -> None:
        record = self._settings.containers
        temporary = record.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._held, indent=1))
        temporary.replace(record)


def _key(account: str, container: str) -> str:
    return f"{account}/{container}"
