"""The metadata service answers as Azure's: to its own machine, with the identities that the machine has."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from emulator.datacentre.control import Datacentre
from tests.datacentre.cloud import TENANT, Cloud

CLIENT = """
import json, sys, urllib.error, urllib.request
for path, headers in json.loads(sys.argv[1]):
    request = urllib.request.Request("http://169.254.169.254" + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            print(json.dumps([answer.status, answer.read().decode()]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, error.read().decode()]))
"""
IDENTITY_PATH = "/metadata/identity/oauth2/token?"
STORAGE = {"api-version": "2018-02-01", "resource": "https://storage.azure.com/"}
USER_DATA = "/metadata/instance/compute/userData?api-version=2021-01-01&format=text"


@pytest.fixture(scope="module")
def machines(cloud: Cloud, datacentre: Datacentre) -> Datacentre:
    """One machine with two identities, one with a single identity, one with none."""
    vnet = cloud.vnet("one", ["10.1.0.0/24"], {"only": {"addressPrefix": "10.1.0.0/24"}})
    first, second = cloud.identity("one", "id-first"), cloud.identity("one", "id-second")
    subnet = f"{vnet}/subnets/only"
    cloud.vm(
        "one", subnet, "10.1.0.4", identities=[first, second], user_data='{"hospitals": []}', name="vm-two"
    )
    cloud.vm("one", subnet, "10.1.0.5", identities=[first], name="vm-single")
    cloud.vm("one", subnet, "10.1.0.6", name="vm-none")
    datacentre.wait_ready(cloud.revision)
    return datacentre


def ask(datacentre: Datacentre, machine: str, *requests: tuple[str, dict[str, str]]) -> list[tuple[int, str]]:
    """Send requests from inside a machine; return status and text of each."""
    command = datacentre.inside(machine, ["/usr/bin/python3", "-c", CLIENT, json.dumps(requests)])
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in ran.stdout.splitlines()]


def token(datacentre: Datacentre, machine: str, **query: str) -> tuple[int, Any]:
    path = IDENTITY_PATH + urlencode({**STORAGE, **query})
    status, text = ask(datacentre, machine, (path, {"Metadata": "true"}))[0]
    return status, json.loads(text)


def identity(cloud: Cloud, name: str) -> dict[str, Any]:
    document = next(d for d in cloud.documents.values() if d["id"].endswith(f"/{name}"))
    return {"id": document["id"], **document["body"]["properties"]}


class TestTokens:
    def test_the_only_identity_needs_no_choice(self, cloud: Cloud, machines: Datacentre) -> None:
        status, answer = token(machines, "vm-single")
        wanted = identity(cloud, "id-first")
        claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
        assert status == 200
        assert (answer["client_id"], answer["token_type"]) == (wanted["clientId"], "Bearer")
        assert int(answer["expires_on"]) == claims["exp"]
        assert (claims["oid"], claims["aud"]) == (wanted["principalId"], STORAGE["resource"])
        assert claims["iss"] == f"https://sts.windows.net/{TENANT}/"

    @pytest.mark.parametrize(
        ("selector", "of"),
        [("client_id", "clientId"), ("object_id", "principalId"), ("msi_res_id", "id"), ("mi_res_id", "id")],
    )
    def test_an_identity_is_chosen_by_any_of_its_ids(
        self, cloud: Cloud, machines: Datacentre, selector: str, of: str
    ) -> None:
        wanted = identity(cloud, "id-second")
        status, answer = token(machines, "vm-two", **{selector: wanted[of].upper()})
        assert (status, answer["client_id"]) == (200, wanted["clientId"])

    def test_several_identities_ask_for_a_choice(self, machines: Datacentre) -> None:
        status, answer = token(machines, "vm-two")
        assert status == 400
        assert answer["error"] == "invalid_request"
        assert answer["error_description"].startswith("Multiple user assigned identities exist")

    def test_another_machines_identity_is_not_found(self, cloud: Cloud, machines: Datacentre) -> None:
        refused = {"error": "invalid_request", "error_description": "Identity not found"}
        chosen = identity(cloud, "id-second")["clientId"]
        assert token(machines, "vm-single", client_id=chosen) == (400, refused)
        assert token(machines, "vm-none") == (400, refused)

    def test_who_has_not_asked_for_metadata_gets_none(self, machines: Datacentre) -> None:
        path = IDENTITY_PATH + urlencode(STORAGE)
        bare, forwarded, no_resource = ask(
            machines,
            "vm-single",
            (path, {}),
            (path, {"Metadata": "true", "X-Forwarded-For": "10.0.0.1"}),
            (IDENTITY_PATH + "api-version=2018-02-01", {"Metadata": "true"}),
        )
        assert [status for status, _ in (bare, forwarded, no_resource)] == [400, 400, 400]
        assert json.loads(bare[1])["error_description"] == "Required metadata header not specified"


class TestInstance:
    def test_user_data_is_read_and_a_change_is_seen_at_once(self, cloud: Cloud, machines: Datacentre) -> None:
        header = {"Metadata": "true"}
        status, text = ask(machines, "vm-two", (USER_DATA, header))[0]
        assert (status, base64.b64decode(text)) == (200, b'{"hospitals": []}')
        vm = next(d for d in cloud.documents.values() if d["id"].endswith("virtualMachines/vm-two"))
        body = cloud.body(vm["id"])
        body["emulator"]["userData"] = base64.b64encode(b'{"hospitals": ["one"]}').decode()
        cloud.put(vm["id"], vm["type"], body)
        machines.wait_ready(cloud.revision)
        assert (
            base64.b64decode(ask(machines, "vm-two", (USER_DATA, header))[0][1]) == b'{"hospitals": ["one"]}'
        )

    def test_it_says_who_the_machine_is(self, cloud: Cloud, machines: Datacentre) -> None:
        path = "/metadata/instance?api-version=2021-02-01"
        answer = json.loads(ask(machines, "vm-none", (path, {"Metadata": "true"}))[0][1])
        compute, network = answer["compute"], answer["network"]
        vm = next(d["body"] for d in cloud.documents.values() if d["id"].endswith("virtualMachines/vm-none"))
        assert (compute["name"], compute["vmId"]) == ("vm-none", vm["properties"]["vmId"])
        assert (compute["resourceId"], compute["tagsList"]) == (vm["id"], [{"name": "party", "value": "one"}])
        address = network["interface"][0]["ipv4"]["ipAddress"][0]["privateIpAddress"]
        assert address == "10.1.0.6"

    def test_leaves_versions_and_unknown_paths(self, machines: Datacentre) -> None:
        header = {"Metadata": "true"}
        base = "/metadata/instance/compute/name"
        found = ask(
            machines,
            "vm-none",
            (base + "?api-version=2021-02-01&format=text", header),
            (base + "?api-version=2021-02-01", header),
            (base, header),
            ("/metadata/instance/compute/nothing?api-version=2021-02-01", header),
            ("/metadata/instance/compute?api-version=2021-02-01&format=text", header),
        )
        assert [status for status, _ in found] == [200, 400, 400, 404, 200]
        assert found[0][1] == "vm-none"
        assert "newest-versions" in found[2][1]
        assert "vmId" in found[4][1].splitlines()
