"""Storage behind private endpoints, used by Microsoft's own clients from inside machines' networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from clone import paths
from emulator.datacentre.blob_operations import (
    ForeignSourceError,
    NotUnderstoodError,
    read_batch,
    read_operation,
)
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from tests.datacentre.cloud import BLOB_ZONE, Cloud, resource

HUB, ONE = "https://sthub.blob.core.windows.net", "https://stone.blob.core.windows.net"
CLIENT = """
import json, sys, urllib.request
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

HUB, ONE = "https://sthub.blob.core.windows.net", "https://stone.blob.core.windows.net"
credential = ManagedIdentityCredential()

def service(url, credential=credential):
    return BlobServiceClient(url, credential=credential, retry_total=0, connection_timeout=2)

def blob(url, container, name="a.txt"):
    return service(url).get_blob_client(container, name)

def attempt(what):
    try:
        return what()
    except AzureError as error:
        response = getattr(error, "response", None)
        if response is None:
            return type(error).__name__
        return [error.status_code, getattr(error, "error_code", None)]

shown = []
show = shown.append

def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)

for line in sys.stdin:
    try:
        exec(json.loads(line), dict(globals()))
        answer = shown[0] if len(shown) == 1 else list(shown)
    except BaseException:
        import traceback
        answer = {"failed": traceback.format_exc()}
    shown.clear()
    print(json.dumps(answer, default=text), flush=True)
"""


@dataclass
class Place:
    """The hub with its account, a hospital with its own, and the identities of their machines."""

    cloud: Cloud
    datacentre: Datacentre
    hub_account: str
    one_account: str
    one: dict[str, Any]
    clients: dict[tuple[int, str], subprocess.Popen[str]] = field(default_factory=dict)

    def run(self, machine: str, code: str) -> Any:
        """Run Python with the SDK inside a machine's network; return what it shows."""
        self.datacentre.wait_ready(self.cloud.revision)
        key = (self.datacentre.pid, machine)
        if key not in self.clients:
            authority = str(paths.authority())
            self.clients[key] = subprocess.Popen(
                self.datacentre.inside(machine, [sys.executable, "-c", CLIENT]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority},
            )
        client = self.clients[key]
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        client.stdin.flush()
        answer = json.loads(client.stdout.readline())
        assert not isinstance(answer, dict), answer["failed"]
        return answer

    def close(self) -> None:
        for client in self.clients.values():
            client.communicate()


@pytest.fixture(scope="module")
def place(cloud: Cloud, datacentre: Datacentre) -> Iterator[Place]:
    vnets = {
        party: cloud.vnet(party, [f"{prefix}.0/24"], {"only": {"addressPrefix": f"{prefix}.0/24"}})
        for party, prefix in (("hub", "10.0.0"), ("one", "10.1.0"))
    }
    cloud.peer(vnets["hub"], vnets["one"])
    hub_account = cloud.account("hub", "sthub", ["server", "client-one", "client-two"])
    one_account = cloud.account("one", "stone", ["data"])
    cloud.endpoint(
        "hub", "pe-hub", f"{vnets['hub']}/subnets/only", hub_account, "blob", {"blob": "10.0.0.68"}
    )
    cloud.endpoint("one", "pe-one", f"{vnets['one']}/subnets/only", one_account, "blob", {"blob": "10.1.0.5"})
    cloud.zone("hub", BLOB_ZONE, {"sthub": "10.0.0.68"}, [vnets["hub"]])
    cloud.zone("one", BLOB_ZONE, {"sthub": "10.0.0.68", "stone": "10.1.0.5"}, [vnets["one"]])
    identities = {party: cloud.identity(party, f"id-{party}") for party in vnets}
    for party, address in (("hub", "10.0.0.4"), ("one", "10.1.0.4")):
        cloud.vm(party, f"{vnets[party]}/subnets/only", address, identities=[identities[party]])
    scope = f"{hub_account}/blobServices/default/containers"
    for container in ("server", "client-one", "client-two"):
        cloud.assign("contributor", identities["hub"], f"{scope}/{container}")
    cloud.assign("contributor", identities["one"], f"{scope}/client-one")
    cloud.assign("reader", identities["one"], f"{one_account}/blobServices/default/containers/data")
    datacentre.wait_ready(cloud.revision, 300)  # Azurite is installed when it is needed first
    made = Place(cloud, datacentre, hub_account, one_account, identities["one"])
    yield made
    made.close()


class TestRoles:
    def test_a_contributor_writes_reads_lists_copies_and_deletes_in_its_container(self, place: Place) -> None:
        shown = place.run(
            "vm-one",
            """
            credential = DefaultAzureCredential()  # finds the machine's identity by itself
            big = bytes(range(256)) * 4096 * 12
            one = service(HUB).get_container_client("client-one")
            one.upload_blob("big.bin", big, overwrite=True, max_concurrency=2)
            show(one.download_blob("big.bin").readall() == big)
            copy = one.get_blob_client("big-copy.bin")
            copy.start_copy_from_url(f"{HUB}/client-one/big.bin")
            show([blob.name for blob in one.list_blobs("big")])
            one.delete_blobs("big.bin", "big-copy.bin")  # a batch
            show([blob.name for blob in one.list_blobs("big")])
            """,
        )
        assert shown == [True, ["big-copy.bin", "big.bin"], []]

    @pytest.mark.parametrize("mib", [8, pytest.param(64, marks=pytest.mark.long)])
    def test_blocks_of_a_large_blob_are_put_side_by_side_and_ranges_read(
        self, place: Place, mib: int
    ) -> None:
        """As AzCopy does: Put Block in any order and in parallel, Put Block List, and ranges of it back.

        https://learn.microsoft.com/rest/api/storageservices/put-block-list
        """
        shown = place.run(
            "vm-one",
            """
            import hashlib, os
            from concurrent.futures import ThreadPoolExecutor
            from azure.storage.blob import BlobBlock
            size, part = MIB * 1024 ** 2, MIB * 1024 ** 2 // 16
            content = os.urandom(size)
            large = blob(HUB, "client-one", "large.bin")
            names = [f"{n:06}" for n in range(size // part)]
            def put(n):
                large.stage_block(names[n], content[n * part:(n + 1) * part], validate_content=n == 0)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(put, reversed(range(len(names)))))
            show(attempt(large.get_blob_properties))
            committed, waiting = large.get_block_list("all")
            show([len(committed), len(waiting)])
            show(attempt(lambda: large.commit_block_list([BlobBlock("999999")])))
            large.commit_block_list([BlobBlock(name) for name in names])
            show(large.get_blob_properties().size == size)
            at = 3 * part - 5
            show(large.download_blob(offset=at, length=10).readall() == content[at:at + 10])
            back = large.download_blob(max_concurrency=8).readall()
            show(hashlib.sha256(back).digest() == hashlib.sha256(content).digest())
            large.delete_blob()
            service = BlobServiceClient(HUB, credential=credential, retry_total=0, connection_timeout=2,
                                        max_single_put_size=part, max_block_size=part)
            large = service.get_blob_client("client-one", "large.bin")
            large.upload_blob(content, max_concurrency=8)
            show(len(large.get_block_list("committed")[0]) == len(names))
            large.delete_blob()
            """.replace("MIB", str(mib)),
        )
        assert shown == [[404, "BlobNotFound"], [0, 16], [400, "InvalidBlockList"], True, True, True, True]

    def test_a_reader_only_reads(self, place: Place) -> None:
        shown = place.run(
            "vm-one",
            """
            own = service(ONE).get_container_client("data")
            show([
                attempt(lambda: [each.name for each in own.list_blobs("x")]),
                attempt(lambda: own.upload_blob("x", b"x")),
                attempt(lambda: own.get_blob_client("x").delete_blob()),
                attempt(lambda: own.get_blob_client("x").download_blob().readall()),
            ])
            """,
        )
        mismatch = [403, "AuthorizationPermissionMismatch"]
        assert shown == [[], mismatch, mismatch, [404, "BlobNotFound"]]

    def test_other_containers_are_closed_to_every_operation(self, place: Place) -> None:
        shown = place.run(
            "vm-one",
            """
            other = service(HUB).get_container_client("client-two")
            mine = service(HUB).get_container_client("client-one")
            mine.upload_blob("mine", b"1", overwrite=True)
            copy = mine.get_blob_client("stolen")
            show([
                attempt(lambda: [each.name for each in other.list_blobs()]),
                attempt(lambda: other.upload_blob("x", b"x")),
                attempt(lambda: other.download_blob("x").readall()),
                attempt(lambda: other.delete_blob("x")),
                attempt(lambda: other.get_container_properties()),
                attempt(lambda: copy.start_copy_from_url(f"{HUB}/client-two/x")),
                attempt(lambda: copy.upload_blob_from_url(f"{HUB}/client-two/x")),
                attempt(lambda: service(HUB).get_blob_client("client-two", "y").start_copy_from_url(
                    f"{HUB}/client-one/mine")),
                attempt(lambda: [each.name for each in service(HUB).list_containers()]),
                attempt(lambda: service(HUB).get_service_properties()),
                attempt(lambda: service(HUB).get_blob_client("not-there", "x").download_blob()),
            ])
            """,
        )
        assert shown == [[403, "AuthorizationPermissionMismatch"]] * 11

    def test_a_copy_from_another_account_is_refused(self, place: Place) -> None:
        code = 'show(attempt(lambda: blob(HUB, "client-one").start_copy_from_url(f"{ONE}/data/x")))'
        assert place.run("vm-one", code) == [403, "CannotVerifyCopySource"]

    def test_a_batch_is_judged_blob_by_blob(self, place: Place) -> None:
        code = """
        client = service(HUB)
        theirs = client.get_container_client("client-two")
        show(attempt(lambda: theirs.delete_blobs("x")))
        """
        assert place.run("vm-one", code) == [403, "AuthorizationPermissionMismatch"]

    def test_a_role_given_or_taken_counts_at_once(self, place: Place) -> None:
        scope = f"{place.hub_account}/blobServices/default/containers/client-two"
        code = """
        theirs = service(HUB).get_container_client("client-two")
        show(attempt(lambda: [each.name for each in theirs.list_blobs()]))
        """
        assert place.run("vm-one", code) == [403, "AuthorizationPermissionMismatch"]
        given = place.cloud.assign("reader", place.one, scope)
        assert place.run("vm-one", code) == []
        place.cloud.delete(given)
        assert place.run("vm-one", code) == [403, "AuthorizationPermissionMismatch"]


class TestContainers:
    def test_an_accounts_owner_writes_and_deletes_by_a_way_of_their_own(self, place: Place) -> None:
        place.cloud.container(place.one_account, "owned")
        place.datacentre.wait_ready(place.cloud.revision)
        container = f"{place.one_account}/blobServices/default/containers/owned"
        assert place.datacentre.upload(container, "a.csv", b"age")
        assert list(place.datacentre.blobs(container)) == ["a.csv"]
        for _ in range(2):
            place.datacentre.delete(container, "a.csv")
            assert place.datacentre.blobs(container) == {}

    def test_containers_exist_only_if_arm_has_them(self, place: Place) -> None:
        given = place.cloud.assign("contributor", place.one, place.one_account)
        code = 'show(attempt(lambda: blob(ONE, "fresh").upload_blob(b"x")))'
        assert place.run("vm-one", code) == [404, "ContainerNotFound"]
        place.cloud.container(place.one_account, "fresh")
        assert place.run("vm-one", 'show(blob(ONE, "fresh").upload_blob(b"x")["etag"] != "")') is True
        place.cloud.delete(f"{place.one_account}/blobServices/default/containers/fresh")
        assert place.run("vm-one", code) == [404, "ContainerNotFound"]
        place.cloud.container(place.one_account, "fresh")
        again = 'show(attempt(lambda: blob(ONE, "fresh").download_blob()))'
        assert place.run("vm-one", again) == [404, "BlobNotFound"]  # a new one of that name is empty
        place.cloud.delete(given)

    def test_what_the_data_plane_made_or_deleted_is_so_in_arm_when_it_answers(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(place.cloud, "write_seconds", 0.3)
        given = place.cloud.assign("contributor", place.one, place.one_account)
        shown = place.run(
            "vm-one",
            """
            made = service(ONE).get_container_client("made-here")
            made.create_container()
            made.upload_blob("x", b"x")
            show(attempt(made.create_container))
            show(attempt(lambda: blob(HUB, "made-here").upload_blob(b"x")))
            show(attempt(lambda: service(HUB).create_container("mine")))
            """,
        )
        assert shown[0] == [409, "ContainerAlreadyExists"]
        assert shown[1:] == [[403, "AuthorizationPermissionMismatch"]] * 2
        container = f"{place.one_account}/blobServices/default/containers/made-here".lower()
        assert container in place.cloud.documents
        place.run("vm-one", 'show(service(ONE).delete_container("made-here"))')
        assert container not in place.cloud.documents
        place.cloud.delete(given)


class TestDoors:
    def test_only_the_endpoints_own_account_is_behind_it(self, place: Place) -> None:
        zone = resource("one", "Microsoft.Network/privateDnsZones", BLOB_ZONE)
        place.cloud.record(zone, "sthub", "10.1.0.5")  # the hub's name, the hospital's endpoint
        try:
            code = 'show(attempt(lambda: blob(HUB, "client-one").download_blob()))'
            assert place.run("vm-one", code) == [403, "AuthorizationFailure"]
        finally:
            place.cloud.record(zone, "sthub", "10.0.0.68")

    def test_a_closed_account_refuses_the_public_door(self, place: Place) -> None:
        zone = resource("one", "Microsoft.Network/privateDnsZones", BLOB_ZONE)
        vnet = resource("one", "Microsoft.Network/virtualNetworks", "vnet-one")
        link = f"{zone}/virtualNetworkLinks/link-vnet-one"
        kept = place.cloud.documents[link.lower()]
        place.cloud.delete(link)
        code = 'show(attempt(lambda: blob(HUB, "client-one").download_blob()))'
        try:
            assert place.run("vm-one", code) == [403, "AuthorizationFailure"]
            subnet = {"addressPrefix": "10.1.0.0/24", "defaultOutboundAccess": False}
            place.cloud.change(
                vnet, subnets=[{"id": f"{vnet}/subnets/only", "name": "only", "properties": subnet}]
            )
            assert place.run("vm-one", code) == "ServiceRequestTimeoutError"  # no way there
        finally:
            subnet = {"addressPrefix": "10.1.0.0/24"}
            place.cloud.change(
                vnet, subnets=[{"id": f"{vnet}/subnets/only", "name": "only", "properties": subnet}]
            )
            place.cloud.put(kept["id"], kept["type"], kept["body"])

    def test_keys_signatures_and_other_tokens_are_refused(self, place: Place) -> None:
        shown = place.run(
            "vm-one",
            """
            import base64
            from azure.core.credentials import AccessToken
            class Fixed:
                def __init__(self, token): self.token = token
                def get_token(self, *scopes, **_): return AccessToken(self.token, 2**31)
            good = credential.get_token("https://storage.azure.com/.default").token
            head, claims, signature = good.split(".")
            forged = json.loads(base64.urlsafe_b64decode(claims + "=="))
            forged["oid"] = "00000000-0000-0000-0000-000000000000"
            forged = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
            def read(credential):
                client = BlobServiceClient(HUB, credential=credential, retry_total=0)
                return attempt(lambda: client.get_blob_client("client-one", "x").download_blob())
            show(read(base64.b64encode(b"k" * 64).decode()))
            show(read("sv=2021-12-02&sig=abc&sp=r"))
            show(read(Fixed(f"{head}.{forged}.{signature}")))
            show(read(Fixed(credential.get_token("https://management.azure.com/.default").token)))
            request = urllib.request.Request(f"{HUB}/client-one/x", headers={"x-ms-version": "2021-12-02"})
            try:
                urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                show([error.code, error.headers["x-ms-error-code"], error.headers["WWW-Authenticate"],
                      error.headers["x-ms-version"], "<Code>" in error.read().decode()])
            """,
        )
        challenge = (
            "Bearer authorization_uri=https://login.microsoftonline.com/5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01"
            "/oauth2/authorize resource_id=https://storage.azure.com"
        )
        assert shown == [
            [403, "KeyBasedAuthenticationNotPermitted"],
            [403, "KeyBasedAuthenticationNotPermitted"],
            [401, "InvalidAuthenticationInfo"],
            [401, "InvalidAuthenticationInfo"],
            [401, "NoAuthenticationInformation", challenge, "2021-12-02", True],
        ]


class TestLife:
    def test_accounts_come_and_go_while_it_runs_and_leave_nothing_to_their_successors(
        self, place: Place
    ) -> None:
        cloud, datacentre = place.cloud, place.datacentre
        zone = resource("one", "Microsoft.Network/privateDnsZones", BLOB_ZONE)
        subnet = resource("one", "Microsoft.Network/virtualNetworks", "vnet-one") + "/subnets/only"

        def make(created: str) -> None:
            account = cloud.account("one", "stlate", ["box"], creationTime=created)
            cloud.assign("contributor", place.one, account)
            cloud.endpoint("one", "pe-late", subnet, account, "blob", {"blob": "10.1.0.9"})
            cloud.record(zone, "stlate", "10.1.0.9")

        late = 'box = service("https://stlate.blob.core.windows.net").get_container_client("box")\n'
        listed = late + "show([each.name for each in box.list_blobs()])"
        make("2026-01-01T00:00:00Z")
        assert place.run("vm-one", late + 'box.upload_blob("x", b"x")\n' + listed) == ["x"]
        make("2026-01-02T00:00:00Z")  # deleted and made again, faster than the datacentre looks
        assert place.run("vm-one", listed) == []
        datacentre.wait_ready(cloud.revision)

    def test_blobs_outlive_the_datacentre(self, place: Place) -> None:
        write = 'blob(HUB, "client-one", "kept").upload_blob(b"still here", overwrite=True); show(1)'
        place.run("vm-one", write)
        place.datacentre.stop()
        place.datacentre = Datacentre.ensure()
        read = 'show(blob(HUB, "client-one", "kept").download_blob().readall())'
        assert place.run("vm-one", read) == "still here"


class TestOperations:
    def names(self, method: str, path: str, host: str = "a.blob", **headers: str) -> list[str]:
        path, _, text = path.partition("?")
        query = dict(part.partition("=")[::2] for part in text.split("&") if part)
        lower = {name.replace("_", "-"): value for name, value in headers.items()}
        operation = read_operation(method, path, query, lower, host)
        return [f"{need.container}:{need.action.rpartition('blobServices/')[2]}" for need in operation.needs]

    @pytest.mark.parametrize(
        ("method", "path", "wanted"),
        [
            ("GET", "/c/a/b", "c:containers/blobs/read"),
            ("HEAD", "/c/b", "c:containers/blobs/read"),
            ("PUT", "/c/b?comp=block&blockid=1", "c:containers/blobs/write"),
            ("DELETE", "/c/b", "c:containers/blobs/delete"),
            ("PUT", "/c/b?comp=tags", "c:containers/blobs/tags/write"),
            ("GET", "/c?restype=container&comp=list", "c:containers/blobs/read"),
            ("DELETE", "/c?restype=container", "c:containers/delete"),
            ("PUT", "/c?restype=container&comp=acl", "c:containers/setAcl/action"),
            ("GET", "/?comp=list", "None:containers/read"),
            ("POST", "/?restype=service&comp=userdelegationkey", "None:generateUserDelegationKey/action"),
        ],
    )
    def test_each_operation_needs_its_action(self, method: str, path: str, wanted: str) -> None:
        assert self.names(method, path) == [wanted]

    @pytest.mark.parametrize(
        ("method", "path"),
        [("PATCH", "/c/b"), ("POST", "/c/b"), ("PUT", "/c/b?comp=new"), ("GET", "/c"), ("PUT", "/")],
    )
    def test_what_is_not_known_is_refused(self, method: str, path: str) -> None:
        with pytest.raises(NotUnderstoodError):
            self.names(method, path)

    def test_a_copy_needs_its_source_too(self) -> None:
        wanted = ["c:containers/blobs/write", "other:containers/blobs/read"]
        assert self.names("PUT", "/c/b", x_ms_copy_source="https://a.blob/other/x%2Fy") == wanted

    @pytest.mark.parametrize("source", ["https://b.blob/c/x", "https://a.blob/c", "file:///c/x", "/a/c/x"])
    def test_a_copy_from_elsewhere_is_refused(self, source: str) -> None:
        with pytest.raises(ForeignSourceError):
            self.names("PUT", "/c/b", x_ms_copy_source=source)

    def batch(self, *requests: str) -> bytes:
        parts = (f"--batch_1\r\nContent-Type: application/http\r\n\r\n{each}\r\n\r\n" for each in requests)
        return "".join([*parts, "--batch_1--\r\n"]).encode()

    def test_a_batch_shows_all_its_requests(self) -> None:
        body = self.batch(
            "DELETE /c/x HTTP/1.1\r\nAuthorization: Bearer t", "PUT /d/y?comp=tier HTTP/1.1\r\n"
        )
        containers = [operation.container for operation in read_batch(body, "Bearer t", "a.blob")]
        assert containers == ["c", "d"]

    @pytest.mark.parametrize(
        "requests",
        [
            ["DELETE /c/x HTTP/1.1\r\nAuthorization: Bearer another"],
            ["DELETE /c?restype=container HTTP/1.1"],
            ["GET /c/x HTTP/1.1"],
            ["DELETE /c/x HTTP/1.1\r\n", "DELETE\t/d/y HTTP/1.1"],
        ],
    )
    def test_a_batch_hides_nothing(self, requests: Sequence[str]) -> None:
        with pytest.raises(NotUnderstoodError):
            read_batch(self.batch(*requests), "Bearer t", "a.blob")


class TestOwners:
    def test_an_owner_uploads_and_an_unchanged_blob_keeps_its_etag(self, place: Place) -> None:
        container = f"{place.one_account}/blobServices/default/containers/data"
        read = 'found = blob(ONE, "data", "in/heart.csv"); show(found.download_blob().readall())\n'
        etag = 'show(blob(ONE, "data", "in/heart.csv").get_blob_properties().etag)'
        assert place.datacentre.upload(container, "in/heart.csv", b"age\n63\n")
        assert place.run("vm-one", read) == "age\n63\n"
        before = place.run("vm-one", etag)
        assert not place.datacentre.upload(container, "in/heart.csv", b"age\n63\n")
        assert place.run("vm-one", etag) == before
        assert place.datacentre.upload(container, "in/heart.csv", b"age\n67\n")
        assert place.run("vm-one", etag) != before
        with pytest.raises(DatacentreError, match="there is no blob container"):
            place.datacentre.upload(container + "x", "heart.csv", b"")
