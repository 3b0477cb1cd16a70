"""Microsoft's own clients read and change a deployment over HTTPS, as they would on Azure."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from tests.emulator.arm_client import GROUP, Arm
from tests.emulator.arm_server import SUBSCRIPTION_ID, Credential, Server

NETWORK = f"{GROUP}/providers/Microsoft.Network"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, Latency(0.0))
    Arm(running.plane).put(GROUP, {"location": "westeurope", "tags": {"party": "centre"}})
    yield running
    running.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, Latency(0.02))
    Arm(running.plane).put(GROUP, {"location": "westeurope"})
    time.sleep(0.05)
    yield running
    running.close()


def deploy(arm: Arm) -> None:
    """A network, an account with a private endpoint, and a machine with a data disk."""
    west = {"location": "westeurope"}
    rule = {"priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
    rule |= {"sourceAddressPrefix": "*", "sourcePortRange": "*"}
    rule |= {"destinationAddressPrefix": "*", "destinationPortRange": "8002"}
    arm.put(
        f"{NETWORK}/networkSecurityGroups/nsg",
        west | {"properties": {"securityRules": [{"name": "fl", "properties": rule}]}},
    )
    group = {"networkSecurityGroup": {"id": f"{NETWORK}/networkSecurityGroups/nsg"}}
    subnet = {"name": "server", "properties": {"addressPrefix": "10.0.0.0/26"} | group}
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}, "subnets": [subnet]}
    arm.put(f"{NETWORK}/virtualNetworks/hub", west | {"properties": space})
    spoke = {"addressSpace": {"addressPrefixes": ["10.1.0.0/24"]}}
    arm.put(f"{NETWORK}/virtualNetworks/spoke", west | {"properties": spoke})
    for here, there in (("hub", "spoke"), ("spoke", "hub")):
        remote = {"remoteVirtualNetwork": {"id": f"{NETWORK}/virtualNetworks/{there}"}}
        arm.put(f"{NETWORK}/virtualNetworks/{here}/virtualNetworkPeerings/{there}", {"properties": remote})
    place = {"subnet": {"id": f"{NETWORK}/virtualNetworks/hub/subnets/server"}}
    configurations = [{"name": "primary", "properties": place}]
    arm.put(f"{NETWORK}/networkInterfaces/nic", west | {"properties": {"ipConfigurations": configurations}})
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthub"
    closed = {"allowSharedKeyAccess": False, "publicNetworkAccess": "Disabled"}
    arm.put(account, west | {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": closed})
    arm.put(f"{account}/blobServices/default/containers/server", {})
    link = {"name": "l", "properties": {"privateLinkServiceId": account, "groupIds": ["blob"]}}
    arm.put(
        f"{NETWORK}/privateEndpoints/pe",
        west | {"properties": place | {"privateLinkServiceConnections": [link]}},
    )
    disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 32}
    arm.put(f"{COMPUTE}/disks/data", west | {"properties": disk})
    image = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}
    key = {"path": "/home/operator/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAAC3Nz x"}
    login = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}}
    machine = {
        "hardwareProfile": {"vmSize": "Standard_B2s_v2"},
        "osProfile": {"computerName": "vm", "adminUsername": "operator", "linuxConfiguration": login},
        "storageProfile": {
            "imageReference": image,
            "osDisk": {"createOption": "FromImage"},
            "dataDisks": [
                {"lun": 0, "createOption": "Attach", "managedDisk": {"id": f"{COMPUTE}/disks/data"}}
            ],
        },
        "networkProfile": {"networkInterfaces": [{"id": f"{NETWORK}/networkInterfaces/nic"}]},
    }
    arm.put(f"{COMPUTE}/virtualMachines/vm", west | {"properties": machine})


def test_network_client_reads_the_deployment(server: Server) -> None:
    deploy(Arm(server.plane))
    client = server.client(NetworkManagementClient)
    hub = client.virtual_networks.get("rg", "hub")
    assert hub.address_space is not None
    assert hub.address_space.address_prefixes == ["10.0.0.0/24"]
    assert [one.name for one in client.virtual_networks.list("rg")] == ["hub", "spoke"]
    assert {one.name for one in client.virtual_networks.list_all()} == {"hub", "spoke"}
    subnet = client.subnets.get("rg", "hub", "server")
    assert subnet.network_security_group is not None
    assert subnet.network_security_group.id == f"{NETWORK}/networkSecurityGroups/nsg"
    assert client.virtual_network_peerings.get("rg", "hub", "spoke").peering_state == "Connected"
    assert [one.name for one in client.security_rules.list("rg", "nsg")] == ["fl"]
    endpoint = client.private_endpoints.get("rg", "pe")
    assert endpoint.custom_dns_configs is not None
    assert endpoint.custom_dns_configs[0].fqdn == "sthub.blob.core.windows.net"
    interface = client.network_interfaces.get("rg", "nic")
    assert interface.ip_configurations is not None
    assert interface.ip_configurations[0].private_ip_address == "10.0.0.4"
    assert interface.virtual_machine is not None
    assert (
        client.network_watchers.get("NetworkWatcherRG", "NetworkWatcher_westeurope").location == "westeurope"
    )


def test_storage_client_reads_the_deployment(server: Server) -> None:
    deploy(Arm(server.plane))
    client = server.client(StorageManagementClient)
    account = client.storage_accounts.get_properties("rg", "sthub")
    assert account.allow_shared_key_access is False
    assert account.primary_endpoints is not None
    assert account.primary_endpoints.blob == "https://sthub.blob.core.windows.net/"
    assert account.private_endpoint_connections is not None
    assert len(account.private_endpoint_connections) == 1
    assert [one.name for one in client.storage_accounts.list()] == ["sthub"]
    assert [one.name for one in client.blob_containers.list("rg", "sthub")] == ["server"]
    assert client.blob_services.get_service_properties("rg", "sthub").cors is not None
    with pytest.raises(HttpResponseError, match="KeyBasedAuthenticationNotPermitted"):
        client.storage_accounts.list_keys("rg", "sthub")


def test_compute_client_reads_and_restarts_the_machine(server: Server) -> None:
    deploy(Arm(server.plane))
    client = server.client(ComputeManagementClient)
    machine = client.virtual_machines.get("rg", "vm", expand="instanceView")
    assert machine.instance_view is not None
    assert machine.instance_view.statuses is not None
    assert [one.code for one in machine.instance_view.statuses][-1] == "PowerState/running"
    assert machine.os_profile is not None
    assert machine.os_profile.custom_data is None
    assert client.disks.get("rg", "data").managed_by == f"{COMPUTE}/virtualMachines/vm"
    client.virtual_machines.begin_power_off("rg", "vm").result(timeout=20)
    statuses = client.virtual_machines.instance_view("rg", "vm").statuses
    assert statuses is not None
    assert statuses[-1].code == "PowerState/stopped"
    client.virtual_machines.begin_start("rg", "vm").result(timeout=20)
    client.virtual_machines.begin_restart("rg", "vm").result(timeout=20)
    client.virtual_machines.begin_deallocate("rg", "vm").result(timeout=20)


def test_resource_client_reads_groups_and_deletes_them(server: Server) -> None:
    deploy(Arm(server.plane))
    client = server.client(ResourceManagementClient)
    groups = {one.name: one for one in client.resource_groups.list()}
    assert set(groups) == {"rg", "NetworkWatcherRG"}
    assert groups["rg"].tags == {"party": "centre"}
    types = {one.type for one in client.resources.list_by_resource_group("rg")}
    assert "Microsoft.Compute/virtualMachines" in types
    assert client.providers.get("Microsoft.Network").registration_state == "Registered"
    assert client.resource_groups.check_existence("rg")
    client.resource_groups.begin_delete("rg").result(timeout=20)
    assert not client.resource_groups.check_existence("rg")


def test_clients_write_and_wait_as_on_azure(slow: Server) -> None:
    client = slow.client(NetworkManagementClient)
    body: Any = {
        "location": "westeurope",
        "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}},
    }
    made = client.virtual_networks.begin_create_or_update("rg", "vnet", body).result(timeout=20)
    assert made.provisioning_state == "Succeeded"
    part: Any = {"properties": {"addressPrefix": "10.0.0.0/26"}}
    first = client.subnets.begin_create_or_update("rg", "vnet", "one", part)
    assert first.result(timeout=20).provisioning_state == "Succeeded"
    client.virtual_networks.begin_delete("rg", "vnet").result(timeout=20)
    with pytest.raises(ResourceNotFoundError):
        client.virtual_networks.get("rg", "vnet")


def test_clients_raise_azures_errors(server: Server) -> None:
    client = server.client(NetworkManagementClient)
    with pytest.raises(ResourceNotFoundError) as missing:
        client.virtual_networks.get("rg", "none")
    assert missing.value.error is not None
    assert missing.value.error.code == "ResourceNotFound"
    bad: Any = {
        "location": "westeurope",
        "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.1/24"]}},
    }
    with pytest.raises(HttpResponseError) as refused:
        client.virtual_networks.begin_create_or_update("rg", "vnet", bad)
    assert refused.value.error is not None
    assert refused.value.error.code == "InvalidCIDRNotation"


def test_a_client_with_a_foreign_token_is_not_let_in(server: Server, tmp_path: Path) -> None:
    other = ControlPlane(tmp_path / "other.sqlite", b"z" * 32)
    client = NetworkManagementClient(
        Credential(other),
        SUBSCRIPTION_ID,
        base_url=server.url,
        connection_verify=str(server.authority),
    )
    with pytest.raises(ClientAuthenticationError):
        client.virtual_networks.get("rg", "hub")
    other.close()


class TestTheSocket:
    def ask(self, server: Server, method: str, path: str, **more: Any) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(server.socket)), timeout=20) as client:
            return client.request(method, f"http://arm{path}", **more)

    def test_needs_no_token(self, server: Server) -> None:
        deploy(Arm(server.plane))
        changes = self.ask(server, "GET", "/emulator/changes?since=0").json()
        assert f"{COMPUTE}/virtualMachines/vm" in [one["id"] for one in changes["upserts"]]

    def test_takes_ids_in_paths(self, server: Server) -> None:
        deploy(Arm(server.plane))
        machine = f"{COMPUTE}/virtualMachines/vm".replace("/", "%2F")
        assert self.ask(server, "PUT", f"/emulator/vms/{machine}", json={"agent": "ready"}).status_code == 204
        assert self.ask(server, "GET", "/emulator/vms").json()["value"][0]["health"] == {"agent": "ready"}

    def test_waits_for_the_next_change(self, server: Server) -> None:
        revision = self.ask(server, "GET", "/emulator/changes").json()["revision"]
        later = threading.Timer(0.2, lambda: Arm(server.plane).put(f"{GROUP}2", {"location": "westeurope"}))
        later.start()
        began = time.monotonic()
        changes = self.ask(server, "GET", f"/emulator/changes?since={revision}&wait=10").json()
        assert 0.1 < time.monotonic() - began < 5
        assert [one["id"] for one in changes["upserts"]] == [f"{GROUP}2"]
        later.join()

    def test_refuses_what_is_no_json_object(self, server: Server) -> None:
        for content in (b"{", b"[1]"):
            answer = self.ask(server, "PUT", f"{GROUP}?api-version=2024-03-01", content=content)
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "InvalidRequestContent"
