"""The registry serves an image that was built to any engine: the manifest byte for byte, and its blobs."""

import base64
import hashlib
import json
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from emulator.datacentre.inventory import Inventory
from emulator.datacentre.registry import MANIFEST, NO_USER, RegistryDoor
from emulator.datacentre.roles import permits
from emulator.datacentre.tokens import Identity, Issuer
from emulator.snapshots import LAYERS, Snapshots

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/crone"
SERVER = "crone.azurecr.io"
DATA = "crone.westeurope.data.azurecr.io"
LAYER = b"a layer's bytes"
KIND = "application/vnd.docker.distribution.manifest.v2+json"
PULL = "/providers/Microsoft.Authorization/roleDefinitions/7f951dda-4ed3-4680-a7ca-43fe172d538d"


def inventory() -> Inventory:
    registry = {"location": "westeurope", "properties": {"loginServer": SERVER}}
    role = {"properties": {"principalId": "p", "roleDefinitionId": PULL, "scope": ID}}
    found = Inventory()
    found.apply(
        {
            "revision": 1,
            "deletes": [],
            "upserts": [
                {"id": ID, "type": "Microsoft.ContainerRegistry/registries", "body": registry},
                {
                    "id": f"{ID}/providers/Microsoft.Authorization/roleAssignments/r",
                    "type": "Microsoft.Authorization/roleAssignments",
                    "body": role,
                },
            ],
        }
    )
    return found


def built(folder: Path) -> str:
    """Keep an image with one layer; return its reference."""
    name = hashlib.sha256(LAYER).hexdigest()
    manifest = json.dumps({"mediaType": KIND, "layers": [{"digest": f"sha256:{name}"}]}, indent=3).encode()
    reference = f"{SERVER}/app@sha256:{hashlib.sha256(manifest).hexdigest()}"

    def fill(made: Path) -> None:
        (made / LAYERS).mkdir()
        (made / LAYERS / "manifest.json").write_bytes(manifest)
        (made / LAYERS / name).write_bytes(LAYER)

    Snapshots(folder).keep({"reference": reference}, fill)
    return reference


async def token(client: TestClient, issuer: Issuer) -> dict[str, str]:
    """Sign in as a machine with AcrPull does, and return the headers of a pull."""
    who = Identity(id="i", client_id="c", principal_id="p", tenant_id="t")
    entra, _ = issuer.issue(who, "https://containerregistry.azure.net")
    host = {"Host": SERVER}
    answer = await client.post("/oauth2/exchange", data={"access_token": entra}, headers=host)
    basic = base64.b64encode(f"{NO_USER}:{(await answer.json())['refresh_token']}".encode()).decode()
    query = {"service": SERVER, "scope": "repository:app:pull"}
    answer = await client.get(
        "/oauth2/token", params=query, headers=host | {"Authorization": f"Basic {basic}"}
    )
    return host | {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_an_engine_gets_what_it_asks_for_by_digest(tmp_path: Path) -> None:
    known, issuer = inventory(), Issuer()
    assert permits(known, "p", "Microsoft.ContainerRegistry/registries/pull/read", ID, data=False)
    digest = built(tmp_path).rpartition("@")[2]
    door = RegistryDoor(lambda: known, issuer, tmp_path)
    async with TestClient(TestServer(door.application(None))) as client:
        signed = await token(client, issuer)
        manifest = await client.get(f"/v2/app/manifests/{digest}", headers=signed)
        body = await manifest.read()
        assert manifest.content_type == KIND
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest
        (layer,) = json.loads(body)["layers"]
        path = f"/v2/app/blobs/{layer['digest']}"
        sent = await client.get(path, headers=signed, allow_redirects=False)
        assert (sent.status, sent.headers["Location"]) == (307, f"https://{DATA}{path}")
        assert await (await client.get(path, headers={"Host": DATA})).read() == LAYER
        part = await client.get(path, headers={"Host": DATA, "Range": "bytes=0-0"})  # as an emulated machine
        assert (part.status, await part.read()) == (206, LAYER[:1])


async def test_nobody_gets_a_layer_of_another_repository_or_by_another_name(tmp_path: Path) -> None:
    known = inventory()
    built(tmp_path)
    name = hashlib.sha256(LAYER).hexdigest()
    (tmp_path / "secret").write_text("no blob")
    door = RegistryDoor(lambda: known, Issuer(), tmp_path)
    async with TestClient(TestServer(door.application(None))) as client:
        for path in (
            f"other/blobs/sha256:{name}",
            "app/blobs/sha256:..%2F..%2Fsecret",
            "app/blobs/manifest.json",
        ):
            assert (await client.get(f"/v2/{path}", headers={"Host": DATA})).status == 404
        unsigned = await client.get(f"/v2/app/blobs/sha256:{name}", headers={"Host": SERVER})
        assert unsigned.status == 401


async def test_a_snapshot_that_was_not_built_is_one_empty_layer(tmp_path: Path) -> None:
    known, issuer = inventory(), Issuer()
    reference = f"{SERVER}/app@sha256:{'0' * 64}"
    Snapshots(tmp_path).keep({"reference": reference}, lambda _: None)
    door = RegistryDoor(lambda: known, issuer, tmp_path)
    async with TestClient(TestServer(door.application(None))) as client:
        answer = await client.get(f"/v2/app/manifests/sha256:{'0' * 64}", headers=await token(client, issuer))
        body = await answer.json(content_type=MANIFEST)
        assert [layer["size"] for layer in body["layers"]] == [0]
        empty = await client.get(f"/v2/app/blobs/{body['layers'][0]['digest']}", headers={"Host": DATA})
        assert await empty.read() == b""
