"""Virtual machines, disks, extensions: the rules that Azure enforces, and what the datacentre is told."""

import base64
from typing import Any

import pytest

from tests.emulator.arm_client import GROUP, Arm, said

NETWORK = f"{GROUP}/providers/Microsoft.Network"
NIC = f"{NETWORK}/networkInterfaces/nic"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
DISK = f"{COMPUTE}/disks/data"
VM = f"{COMPUTE}/virtualMachines/vm"
EXTENSION = f"{VM}/extensions/AzureMonitorLinuxAgent"
AGENT = {
    "publisher": "Microsoft.Azure.Monitor",
    "type": "AzureMonitorLinuxAgent",
    "typeHandlerVersion": "1.29",
}
CUSTOM_DATA = base64.b64encode(b"#cloud-config\n").decode()


def vm(**properties: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "hardwareProfile": {"vmSize": "Standard_B2s_v2"},
        "securityProfile": {"securityType": "TrustedLaunch"},
        "osProfile": {
            "computerName": "vm",
            "adminUsername": "operator",
            "customData": CUSTOM_DATA,
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {
                    "publicKeys": [
                        {"path": "/home/operator/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAAC3Nz x"}
                    ]
                },
            },
        },
        "storageProfile": {
            "imageReference": {
                "publisher": "Canonical",
                "offer": "ubuntu-24_04-lts",
                "sku": "server",
                "version": "latest",
            },
            "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"},
            "dataDisks": [
                {"lun": 0, "createOption": "Attach", "deleteOption": "Detach", "managedDisk": {"id": DISK}}
            ],
        },
        "networkProfile": {"networkInterfaces": [{"id": NIC}]},
    }
    return {"location": "westeurope", "properties": {**own, **properties}}


@pytest.fixture(autouse=True)
def network_and_disk(arm: Arm) -> None:
    arm.put(
        f"{NETWORK}/virtualNetworks/vnet",
        {
            "location": "westeurope",
            "properties": {
                "addressSpace": {"addressPrefixes": ["10.0.0.0/24"]},
                "subnets": [{"name": "one", "properties": {"addressPrefix": "10.0.0.0/26"}}],
            },
        },
    )
    subnet = {"id": f"{NETWORK}/virtualNetworks/vnet/subnets/one"}
    for name in ("nic", "other"):
        configuration = {"name": "primary", "properties": {"subnet": subnet}}
        arm.put(
            f"{NETWORK}/networkInterfaces/{name}",
            {"location": "westeurope", "properties": {"ipConfigurations": [configuration]}},
        )
    arm.put(
        DISK,
        {
            "location": "westeurope",
            "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 32},
        },
    )


class TestMakingAMachine:
    def test_disk_and_interface_say_whose_they_are_and_cannot_go(self, arm: Arm) -> None:
        arm.put(VM, vm())
        assert arm.get(DISK)["managedBy"] == VM
        assert arm.get(DISK)["properties"]["diskState"] == "Attached"
        assert arm.get(NIC)["properties"]["virtualMachine"]["id"] == VM
        assert "is attached to VM" in said(arm("DELETE", DISK))
        assert said(arm("DELETE", NIC)).startswith("NicInUse: ")

    def test_the_image_decides_about_a_system_disk_that_nobody_asks_for(self, arm: Arm) -> None:
        """All 23 recorded VMs without `osDisk` were made (azure-service-operator, 2023 to 2025)."""
        body = vm()
        del body["properties"]["storageProfile"]["osDisk"]
        disk = arm.put(VM, body)["properties"]["storageProfile"]["osDisk"]
        assert disk["createOption"] == "FromImage"
        assert arm.get(disk["managedDisk"]["id"])["managedBy"] == VM

    def test_a_resource_may_have_an_underscore_where_a_host_may_not(self, arm: Arm) -> None:
        """`vm_1` is recorded as accepted (azure-cli, cross_tenant): its host has another name."""
        arm.put(f"{COMPUTE}/virtualMachines/vm_1", vm())

    def test_deleted_machine_takes_its_os_disk_along_and_leaves_its_data(self, arm: Arm) -> None:
        made = arm.put(VM, vm())
        os_disk = made["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
        assert arm.get(os_disk)["managedBy"] == VM
        arm.delete(VM)
        assert arm("GET", os_disk).status == 404
        assert arm.get(DISK)["properties"]["diskState"] == "Unattached"
        assert "virtualMachine" not in arm.get(NIC)["properties"]

    def test_custom_data_is_never_answered_and_never_changes(self, arm: Arm) -> None:
        made = arm.put(VM, vm())
        assert "customData" not in made["properties"]["osProfile"]
        changed = vm()
        changed["properties"]["osProfile"]["customData"] = base64.b64encode(b"#other").decode()
        assert arm.refusal(VM, changed).startswith("PropertyChangeNotAllowed: ")

    def test_user_data_changes_in_place_and_keeps_the_machine(self, arm: Arm) -> None:
        first = arm.put(VM, vm(userData=base64.b64encode(b"one").decode()))
        again = arm.put(VM, vm(userData=base64.b64encode(b"two").decode()))
        assert again["properties"]["vmId"] == first["properties"]["vmId"]
        shown = arm.get(VM, **{"$expand": "userData"})["properties"]["userData"]
        assert base64.b64decode(shown) == b"two"

    def test_second_machine_cannot_have_the_same_disk_or_interface(self, arm: Arm) -> None:
        arm.put(VM, vm())
        second = f"{COMPUTE}/virtualMachines/second"
        assert arm.refusal(second, vm()).startswith("NicInUse: ")
        other = {"networkInterfaces": [{"id": f"{NETWORK}/networkInterfaces/other"}]}
        assert "already attached" in arm.refusal(second, vm(networkProfile=other))

    @pytest.mark.parametrize(
        ("part", "value", "said"),
        [
            ("hardwareProfile", {"vmSize": "Standard_Z9"}, "Standard_Z9"),
            ("hardwareProfile", {"vmSize": "Standard_A2_v2"}, "Trusted Launch"),
            ("networkProfile", {"networkInterfaces": [{"id": NIC + "9"}]}, "InvalidResourceReference"),
            ("osProfile", {"computerName": "vm", "adminUsername": "root"}, "not allowed: 'root'"),
        ],
    )
    def test_wrong_parts_are_refused(self, arm: Arm, part: str, value: Any, said: str) -> None:
        assert said in arm.refusal(VM, vm(**{part: value}))
        assert arm("GET", VM).status == 404

    def test_image_that_does_not_exist_is_refused(self, arm: Arm) -> None:
        body = vm()
        body["properties"]["storageProfile"]["imageReference"]["sku"] = "server-gen2"
        assert arm.refusal(VM, body).startswith("PlatformImageNotFound: ")


class TestPower:
    def power(self, arm: Arm) -> str:
        return next(
            str(status["code"])
            for status in arm.get(f"{VM}/instanceView")["statuses"]
            if status["code"].startswith("PowerState/")
        )

    def test_actions_change_what_the_instance_view_says(self, arm: Arm) -> None:
        arm.put(VM, vm())
        for action, power in (("powerOff", "stopped"), ("start", "running"), ("deallocate", "deallocated")):
            assert arm("POST", f"{VM}/{action}").status == 202
            assert self.power(arm) == f"PowerState/{power}"

    def test_datacentre_sees_one_more_boot_for_each_start_restart_and_redeployment(self, arm: Arm) -> None:
        arm.put(VM, vm())

        def boots() -> int:
            changes = arm.get("/emulator/changes")["upserts"]
            return next(int(one["body"]["emulator"]["boot"]) for one in changes if one["id"] == VM)

        assert boots() == 1
        arm("POST", f"{VM}/start")
        assert boots() == 1
        arm("POST", f"{VM}/restart")
        arm("POST", f"{VM}/powerOff")
        arm("POST", f"{VM}/start")
        assert boots() == 3
        assert arm("POST", f"{VM}/redeploy").status == 202
        assert boots() == 4
        assert self.power(arm) == "PowerState/running"

    def test_command_needs_a_machine_that_somebody_runs(self, arm: Arm) -> None:
        arm.put(VM, vm())
        answer = arm("POST", f"{VM}/runCommand", {"commandId": "RunShellScript", "script": ["true"]})
        assert said(answer).startswith("VMAgentStatusCommunicationError: ")


class TestDisks:
    def test_shrinking_is_refused_and_growing_is_not(self, arm: Arm) -> None:
        body = {"location": "westeurope", "properties": {"creationData": {"createOption": "Empty"}}}
        body["properties"]["diskSizeGB"] = 16  # type: ignore[index]
        assert "Cannot shrink" in arm.refusal(DISK, body)
        body["properties"]["diskSizeGB"] = 64  # type: ignore[index]
        arm.put(DISK, body)


class TestExtensions:
    def body(self, **properties: Any) -> dict[str, Any]:
        return {"location": "westeurope", "properties": {**AGENT, **properties}}

    def test_needs_its_machine_running_and_a_known_kind(self, arm: Arm) -> None:
        assert arm.refusal(EXTENSION, self.body()).startswith("ParentResourceNotFound: ")
        arm.put(VM, vm())
        assert arm.refusal(EXTENSION, self.body(type="AzureMonitorLinuxAgnt")).startswith(
            "ArtifactNotFound: "
        )
        arm.put(EXTENSION, self.body())
        twice = f"{VM}/extensions/agent"
        assert "Multiple VMExtensions" in arm.refusal(twice, self.body())
        arm("POST", f"{VM}/powerOff")
        assert "not running" in arm.refusal(EXTENSION, self.body())


class TestWhatAMachineIsMadeOf:
    def image(self, sku: str, **properties: Any) -> dict[str, Any]:
        body = vm(**properties)
        body["properties"]["storageProfile"]["imageReference"]["sku"] = sku
        return body

    def login(self, **linux: Any) -> dict[str, Any]:
        body = vm()
        body["properties"]["osProfile"]["linuxConfiguration"] |= linux
        return body

    def test_image_and_size_are_of_one_architecture(self, arm: Arm) -> None:
        assert "CPU Architecture" in arm.refusal(VM, self.image("server-arm64"))
        size = {"vmSize": "Standard_B2ps_v2"}
        assert "CPU Architecture" in arm.refusal(VM, vm(hardwareProfile=size))
        arm.put(VM, self.image("server-arm64", hardwareProfile=size))

    def test_trusted_launch_needs_generation_two(self, arm: Arm) -> None:
        assert "generation 1" in arm.refusal(VM, self.image("server-gen1"))
        arm.put(VM, self.image("server-gen1", securityProfile={}))

    @pytest.mark.parametrize(
        ("path", "key"),
        [
            ("/home/operator/.ssh/authorized_keys", "ssh-rsa " + "AAAA" * 20),
            ("/home/operator/.ssh/authorized_keys", "ssh-dss AAAAB3"),
            ("/home/operator/.ssh/authorized_keys", "-----BEGIN PUBLIC KEY-----"),
            ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3Nz x"),
        ],
    )
    def test_keys_are_strong_and_in_their_place(self, arm: Arm, path: str, key: str) -> None:
        body = self.login(ssh={"publicKeys": [{"path": path, "keyData": key}]})
        assert arm.refusal(VM, body).startswith("InvalidParameter")

    def test_without_passwords_a_key_is_needed(self, arm: Arm) -> None:
        assert arm.refusal(VM, self.login(ssh={"publicKeys": []})).startswith("InvalidParameter")

    def test_platform_patching_needs_the_agent(self, arm: Arm) -> None:
        patching = {"patchSettings": {"patchMode": "AutomaticByPlatform"}, "provisionVMAgent": False}
        assert arm.refusal(VM, self.login(**patching)).startswith("InvalidParameter")

    @pytest.mark.parametrize("data", ["not base64!", base64.b64encode(b"x" * 65536).decode()])
    def test_custom_data_is_base64_and_of_limited_length(self, arm: Arm, data: str) -> None:
        body = vm()
        body["properties"]["osProfile"]["customData"] = data
        assert arm.refusal(VM, body).startswith(
            "InvalidParameter: Custom data in OSProfile must be in Base64"
        )

    @pytest.mark.parametrize(
        ("part", "change"),
        [
            ("osProfile.computerName", {"osProfile": {"computerName": "other", "adminUsername": "operator"}}),
            ("osProfile.adminUsername", {"osProfile": {"computerName": "vm", "adminUsername": "other"}}),
            ("securityProfile.securityType", {"securityProfile": {"securityType": "ConfidentialVM"}}),
        ],
    )
    def test_what_is_fixed_stays(self, arm: Arm, part: str, change: dict[str, Any]) -> None:
        arm.put(VM, vm())
        assert arm.refusal(VM, vm(**change)) == (
            f"PropertyChangeNotAllowed: Changing property '{part}' is not allowed."
        )

    def test_image_and_zone_stay(self, arm: Arm) -> None:
        arm.put(VM, vm())
        assert arm.refusal(VM, self.image("ubuntu-pro")).startswith("PropertyChangeNotAllowed")
        assert arm.refusal(VM, vm() | {"zones": ["1"]}).startswith("PropertyChangeNotAllowed")

    def test_interfaces_come_and_go_only_while_it_is_deallocated(self, arm: Arm) -> None:
        arm.put(VM, vm())
        both = {
            "networkInterfaces": [
                {"id": NIC, "properties": {"primary": True}},
                {"id": f"{NETWORK}/networkInterfaces/other"},
            ]
        }
        assert arm.refusal(VM, vm(networkProfile=both)).startswith(
            "AddingOrDeletingNetworkInterfacesOnARunningVirtualMachine"
        )
        arm("POST", f"{VM}/deallocate")
        arm.put(VM, vm(networkProfile=both))

    def test_interfaces_are_in_one_network(self, arm: Arm) -> None:
        far = f"{NETWORK}/virtualNetworks/far"
        space = {"addressSpace": {"addressPrefixes": ["10.1.0.0/24"]}}
        subnets = {"subnets": [{"name": "one", "properties": {"addressPrefix": "10.1.0.0/26"}}]}
        arm.put(far, {"location": "westeurope", "properties": space | subnets})
        place = {"name": "a", "properties": {"subnet": {"id": f"{far}/subnets/one"}}}
        nic = f"{NETWORK}/networkInterfaces/far"
        arm.put(nic, {"location": "westeurope", "properties": {"ipConfigurations": [place]}})
        both = {"networkInterfaces": [{"id": NIC, "properties": {"primary": True}}, {"id": nic}]}
        assert arm.refusal(VM, vm(networkProfile=both)).startswith("SubnetsNotInSameVnet")

    def test_the_interface_of_an_endpoint_is_no_machines(self, arm: Arm) -> None:
        account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
        arm.put(account, {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
        link = {"name": "l", "properties": {"privateLinkServiceId": account, "groupIds": ["blob"]}}
        subnet = {"subnet": {"id": f"{NETWORK}/virtualNetworks/vnet/subnets/one"}}
        body = {"location": "westeurope", "properties": subnet | {"privateLinkServiceConnections": [link]}}
        made = arm.put(f"{NETWORK}/privateEndpoints/pe", body)
        own = {"networkInterfaces": made["properties"]["networkInterfaces"]}
        assert arm.refusal(VM, vm(networkProfile=own)).startswith("NicInUseWithPrivateEndpoint")

    def test_restarting_needs_a_running_machine(self, arm: Arm) -> None:
        arm.put(VM, vm())
        arm("POST", f"{VM}/powerOff")
        assert said(arm("POST", f"{VM}/restart")).startswith("OperationNotAllowed")

    def test_a_deallocated_machine_stays_so_when_it_is_written(self, arm: Arm) -> None:
        arm.put(VM, vm())
        arm("POST", f"{VM}/deallocate")
        arm.put(VM, vm() | {"tags": {"a": "b"}})
        assert arm.get(f"{VM}/instanceView")["statuses"][-1]["code"] == "PowerState/deallocated"
