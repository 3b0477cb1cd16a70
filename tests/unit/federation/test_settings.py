"""A mistake in a stack file is refused before anything is planned, in words for who must fix it."""

import copy
import ipaddress
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pulumi import RunError

from federation.problem import Problem
from federation.settings import load
from federation.stack_file import load_stack
from federation.values import HOSPITAL_NAME_LENGTH
from federation.violations import SettingsError
from tests.unit.support.program_graph import ROOT, Graph, record, stack_config

Config = dict[str, Any]


def violations(stack: str, config: Config) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        load(stack, config)
    return caught.value.violations


GALLERY = (
    "/subscriptions/20000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/Microsoft.Compute"
    "/galleries/images/images/ubuntu-docker/versions/1.0.0"
)


def put(path: str, value: Any) -> Callable[[Config], None]:
    """Writes `value` at a dotted path of the configuration; None removes what is there."""

    def change(config: Config) -> None:
        *parents, last = path.split(".")
        place: Any = config
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last)
        else:
            place[last] = value

    return change


#: Name -> stack, the mistake, the key it is reported under, a word of the consequence, a word of the fix.
_DNS = "/subscriptions/20000000-0000-4000-8000-0000000000d5/resourceGroups/rg-dns/providers/Microsoft.Network"
ZONES = {
    "blob": f"{_DNS}/privateDnsZones/privatelink.blob.core.windows.net",
    "registry": f"{_DNS}/privateDnsZones/privatelink.azurecr.io",
}

MISTAKES: dict[str, tuple[str, Callable[[Config], object], str, str, str]] = {
    "unknown key": ("dev", put("fed:centr", 1), "fed:centr", "ignored", "did you mean centre?"),
    "unknown key inside a group": (
        "dev",
        put("fed:hospitals.hungary.adressSpace", "10.9.9.0/27"),
        "fed:hospitals.hungary.adressSpace",
        "ignored",
        "did you mean addressSpace?",
    ),
    "missing tenant": ("dev", put("fed:tenantId", None), "fed:tenantId", "Entra tenant", "add it"),
    "numbers of four patients": (
        "dev",
        put("fed:privacy", {"smallestCell": 4}),
        "fed:privacy.smallestCell",
        "may point at a person",
        "from 5 to 100",
    ),
    "numbers of half a patient": (
        "dev",
        put("fed:privacy", {"smallestCell": 9.5}),
        "fed:privacy.smallestCell",
        "may point at a person",
        "whole number",
    ),
    "missing size": ("dev", put("fed:machine.size", None), "fed:machine.size", "size of the VMs", "add it"),
    "range with host bits": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "10.10.2.5/27"),
        "fed:hospitals.hungary.addressSpace",
        "host bits",
        "10.10.2.0/27",
    ),
    "range that is no range": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "10.10.2.0"),
        "fed:hospitals.hungary.addressSpace",
        "not one address",
        "CIDR",
    ),
    "public range": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "8.8.8.0/24"),
        "fed:hospitals.hungary.addressSpace",
        "not a private range",
        "10.0.0.0/8",
    ),
    "range of the client's bridge": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "172.30.0.0/16"),
        "fed:hospitals.hungary.addressSpace",
        "Docker uses 172.30.0.0/24",
        "outside",
    ),
    "range too small for a hospital": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "10.10.2.0/28"),
        "fed:hospitals.hungary.addressSpace",
        "do not fit",
        "/27",
    ),
    "range too small for the centre": (
        "dev",
        put("fed:centre.addressSpace", "10.10.0.0/25"),
        "fed:centre.addressSpace",
        "do not fit",
        "/24",
    ),
    "overlapping hospitals": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "10.10.1.0/24"),
        "fed:hospitals.cleveland.addressSpace",
        "overlaps with 10.10.1.0/24 of hungary",
        "a range of its own",
    ),
    "hospital inside the centre": (
        "dev",
        put("fed:hospitals.hungary.addressSpace", "10.10.0.192/27"),
        "fed:hospitals.hungary.addressSpace",
        "of centre",
        "a range of its own",
    ),
    "two audiences in one workspace": (
        "mvp",
        put("fed:hospitals.hungary.dashboard.workspace", "31000000-0000-4000-8000-000000000001"),
        "fed:hospitals.hungary.dashboard.workspace",
        "cleveland has the same: whoever may open one dashboard could open the other",
        "one of its own",
    ),
    "two audiences that one sign-in refreshes": (
        "prod",
        put("fed:centre.dashboard.connection", "43000000-0000-4000-8000-000000000001"),
        "fed:hospitals.cleveland.dashboard.connection",
        "read the tables of both",
        "one of its own",
    ),
    "workspace by its name": (
        "mvp",
        put("fed:centre.dashboard.workspace", "Research centre"),
        "fed:centre.dashboard.workspace",
        "knows workspaces by GUID alone",
        "/groups/",
    ),
    "duplicate subscription": (
        "dev",
        put("fed:hospitals.hungary.subscriptionId", "20000000-0000-4000-8000-000000000001"),
        "fed:hospitals.hungary.subscriptionId",
        "cleveland has the same subscription",
        "a subscription of its own",
    ),
    "subscription in capitals is the same one": (
        "dev",
        lambda config: (
            config["fed:centre"].update(subscriptionId="20000000-0000-4000-8000-00000000000A"),
            config["fed:hospitals"]["hungary"].update(subscriptionId="20000000-0000-4000-8000-00000000000a"),
        ),
        "fed:hospitals.hungary.subscriptionId",
        "centre has the same subscription",
        "a subscription of its own",
    ),
    "subscription that is no id": (
        "dev",
        put("fed:hospitals.hungary.subscriptionId", "hungary-sub"),
        "fed:hospitals.hungary.subscriptionId",
        "GUID",
        "az account list",
    ),
    "hospital in another tenant": (
        "dev",
        put("fed:hospitals.hungary.tenantId", "10000000-0000-4000-8000-00000000fed1"),
        "fed:hospitals.hungary.tenantId",
        "known in its own tenant alone",
        "several tenants are not supported",
    ),
    "stack of another environment": (
        "mvp",
        put("fed:environment", "dev"),
        "fed:environment",
        "the stack is called mvp",
        "select the stack dev",
    ),
    "unknown environment": ("dev", put("fed:environment", "test"), "fed:environment", "rules apply", "'dev'"),
    "unknown region": ("dev", put("fed:location", "westerneurope"), "fed:location", "no such", "westeurope"),
    "unknown size": (
        "dev",
        put("fed:machine.size", "Standard_B2s_v9"),
        "fed:machine.size",
        "unknown",
        "Standard_B2s_v2",
    ),
    "size without Trusted Launch": (
        "dev",
        put("fed:hospitals.hungary.vmSize", "Standard_A2_v2"),
        "fed:hospitals.hungary.vmSize",
        "Trusted Launch",
        "choose a size",
    ),
    "size for another processor": (
        "dev",
        put("fed:hospitals.hungary.vmSize", "Standard_D2ps_v5"),
        "fed:hospitals.hungary.vmSize",
        "x64 images",
        "choose a size",
    ),
    "size without encryption at host": (
        "mvp",
        put("fed:hospitals.hungary.vmSize", "Standard_D2_v3"),
        "fed:hospitals.hungary.vmSize",
        "encryption at host",
        "choose a size",
    ),
    "size without premium disks": (
        "mvp",
        put("fed:centre.vmSize", "Standard_D2_v5"),
        "fed:centre.vmSize",
        "Premium_LRS disks",
        "choose a size",
    ),
    "zones where there are none": (
        "mvp",
        put("fed:hospitals.hungary.location", "westus"),
        "fed:hospitals.hungary.location",
        "no availability zones",
        "westeurope",
    ),
    "zone-redundant account of a hospital where there are no zones": (
        "dev",
        lambda config: config["fed:hospitals"]["hungary"].update(
            location="westus", storageSku="Standard_ZRS"
        ),
        "fed:hospitals.hungary.location",
        "fed:hospitals.hungary.storageSku need",
        "westeurope",
    ),
    "copies in another region where there is no pair": (
        "prod",
        put("fed:location", "polandcentral"),
        "fed:storage.centreSku",
        "RedundancyConfigurationNotAvailableInRegion",
        "Standard_ZRS",
    ),
    "a hospital's copies in a pair without zones for them": (
        "dev",
        lambda config: config["fed:hospitals"]["hungary"].update(
            location="japanwest", storageSku="Standard_RAGZRS"
        ),
        "fed:hospitals.hungary.storageSku",
        "japanwest does not offer it",
        "Standard_ZRS",
    ),
    "hospital on one data centre in prod": (
        "prod",
        put("fed:hospitals.hungary.storageSku", "Standard_LRS"),
        "fed:hospitals.hungary.storageSku",
        "one failed data centre",
        "Standard_ZRS",
    ),
    "zone-redundant disk in one zone": (
        "prod",
        put("fed:machine.diskSku", "Premium_ZRS"),
        "fed:machine.diskSku",
        "cannot be pinned",
        "Premium_LRS",
    ),
    "no egress at the centre": (
        "dev",
        lambda config: (
            put("fed:centre.egress", "none")(config),
            put("fed:machine.image", {"galleryImageId": GALLERY})(config),
        ),
        "fed:centre.egress",
        "run command gets no answer",
        "who ask by blobs",
    ),
    "no egress for anybody": (
        "dev",
        lambda config: (
            put("fed:network.egress", "none")(config),
            put("fed:machine.image", {"galleryImageId": GALLERY})(config),
        ),
        "fed:network.egress",
        "would wait for 90 minutes",
        "fed:centre.egress: nat",
    ),
    "a firewall without its address": (
        "dev",
        put("fed:hospitals.hungary.egress", "firewall"),
        "fed:hospitals.hungary.firewall",
        "where its packets should go",
        "fed:network.firewall",
    ),
    "a firewall in a party's range": (
        "dev",
        lambda config: (
            put("fed:network.egress", "firewall")(config),
            put("fed:network.firewall", "10.10.0.4")(config),
        ),
        "fed:network.firewall",
        "every packet would be lost",
        "your own hub network",
    ),
    "a firewall that nothing goes through": (
        "dev",
        put("fed:centre.firewall", "10.200.0.4"),
        "fed:centre.firewall",
        "pass this firewall by",
        "egress: firewall",
    ),
    "a firewall on the internet": (
        "dev",
        put("fed:network.firewall", "20.1.2.3"),
        "fed:network.firewall",
        "not a private address",
        "10.0.0.0/8",
    ),
    "a firewall by name": (
        "dev",
        put("fed:network.firewall", "fw.example.org"),
        "fed:network.firewall",
        "a route leads to one address",
        "10.200.0.4",
    ),
    "zones that nobody would write to": (
        "dev",
        put("fed:network.zones", ZONES),
        "fed:network.zones",
        "these no record",
        "dns: existing",
    ),
    "a zone of another name": (
        "dev",
        lambda config: (
            put("fed:network.dns", "existing")(config),
            put("fed:network.zones", {**ZONES, "registry": ZONES["blob"]})(config),
        ),
        "fed:network.zones.registry",
        "not a zone privatelink.azurecr.io",
        "az network private-dns zone show",
    ),
    "one of two zones": (
        "dev",
        lambda config: (
            put("fed:network.dns", "existing")(config),
            put("fed:network.zones", {"blob": ZONES["blob"]})(config),
        ),
        "fed:network.zones.registry",
        "your zone of registries",
        "add it",
    ),
    "a zone of the federation's own": (
        "dev",
        lambda config: (
            put("fed:network.dns", "existing")(config),
            put("fed:network.zones", {**ZONES, "blob": ZONES["blob"].replace("rg-dns", "rg-fed-dev-centre")})(
                config
            ),
        ),
        "fed:network.zones.blob",
        "dns: existing takes away",
        "your organisation keeps",
    ),
    "neither own nor existing zones": (
        "dev",
        put("fed:network.dns", "policy"),
        "fed:network.dns",
        "whose private DNS zones",
        "'own' or 'existing'",
    ),
    "no egress with a stock image": (
        "dev",
        put("fed:hospitals.hungary.egress", "none"),
        "fed:hospitals.hungary.egress",
        "has no Docker",
        "galleryImageId",
    ),
    "badly formed e-mail": (
        "dev",
        put("fed:contacts", ["ops@example"]),
        "fed:contacts[0]",
        "alerts",
        "@example.org",
    ),
    "nobody to tell": ("dev", put("fed:contacts", []), "fed:contacts", "gets alerts", "at least 1"),
    "day that does not exist": (
        "dev",
        put("fed:budgets.startDate", "2027-02-30"),
        "fed:budgets.startDate",
        "cannot read it as a day",
        "2027-01-01",
    ),
    "budget from the middle of a month": (
        "dev",
        put("fed:budgets.startDate", "2027-02-15"),
        "fed:budgets.startDate",
        "first of a month",
        "2027-02-01",
    ),
    "budget that ends before it starts": (
        "dev",
        lambda config: config["fed:budgets"].update(startDate="2027-02-01", endDate="2027-01-01"),
        "fed:budgets.endDate",
        "before it starts",
        "later endDate",
    ),
    "private key": (
        "dev",
        put("fed:admin.sshPublicKey", "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nAAAA"),
        "fed:admin.sshPublicKey",
        "readable in the repository",
        ".pub",
    ),
    "broken public key": (
        "dev",
        put("fed:admin.sshPublicKey", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA nobody"),
        "fed:admin.sshPublicKey",
        "refuses the VM",
        "ssh-keygen",
    ),
    "administrator called root": (
        "dev",
        put("fed:admin.username", "root"),
        "fed:admin.username",
        "refuses",
        "fedadmin",
    ),
    "badly formed root fingerprint": (
        "dev",
        put("fed:hospitals.hungary.rootFingerprint", "abc"),
        "fed:hospitals.hungary.rootFingerprint",
        "refuse every startup kit",
        "SHA256:",
    ),
    "image by tag": (
        "mvp",
        put("fed:images.digests.mlflow", "latest"),
        "fed:images.digests.mlflow",
        "a tag can be moved",
        "sha256:",
    ),
    "image that is not pinned": (
        "mvp",
        lambda config: config["fed:images"]["digests"].pop("mlflow"),
        "fed:images.digests",
        "an image without a digest",
        "pin exactly container-server, fl-client, fl-server, mlflow",
    ),
    "box that is not pinned": (
        "mvp",
        put("fed:images.boxes", ["tabular"]),
        "fed:images.digests",
        "box-tabular: an image without a digest",
        "box-tabular",
    ),
    "box that is there anyway": (
        "dev",
        put("fed:images.boxes", ["base"]),
        "fed:images.boxes[0]",
        "base is the client's own image",
        "workloads/boxes",
    ),
    "no image at all": (
        "dev",
        put("fed:images", {}),
        "fed:images.digests",
        "no image to run",
        "images.build: true",
    ),
    "build into a closed registry": (
        "dev",
        put("fed:registry.publicPush", False),
        "fed:registry.publicPush",
        "takes no push",
        "publicPush: true",
    ),
    "key in a vault that can be purged": (
        "mvp",
        put("fed:encryption.purgeProtection", False),
        "fed:encryption.purgeProtection",
        "KeyVaultPolicyError",
        "purgeProtection: true",
    ),
    "hardware key without a key": (
        "dev",
        put("fed:encryption", {"hsm": True}),
        "fed:encryption.hsm",
        "no key to keep",
        "customerManagedKeys: true",
    ),
    "tag with a space": (
        "dev",
        put("fed:tags", {"Cost Center": "x"}),
        "fed:tags.Cost Center",
        "private DNS zones",
        "CostCentre",
    ),
    "tag that begins with a digit": (
        "dev",
        put("fed:tags", {"1st": "x"}),
        "fed:tags.1st",
        "a digit in front",
        "begin with a letter",
    ),
    "tag outside ASCII": (
        "dev",
        put("fed:tags", {"Gr\u00f6\u00dfe": "x"}),
        "fed:tags.Gr\u00f6\u00dfe",
        "a special character",
        "A-Z a-z 0-9",
    ),
    "tag of Azure's own": (
        "dev",
        put("fed:tags", {"microsoft-x": "x"}),
        "fed:tags.microsoft-x",
        "for itself",
        "begin with a letter",
    ),
    "more tags than a DNS zone takes": (
        "dev",
        put("fed:tags", {f"t{number}": "x" for number in range(12)}),
        "fed:tags",
        "15 at most",
        "at most 11",
    ),
    "tags that differ by case": (
        "dev",
        put("fed:tags", {"owner": "a", "Owner": "b"}),
        "fed:tags.Owner",
        "one tag",
        "one of the two",
    ),
    "tag that the platform sets": (
        "dev",
        put("fed:tags", {"Party": "x"}),
        "fed:tags.Party",
        "sets this tag",
        "another name",
    ),
    "group that is a list": (
        "dev",
        put("fed:machine", ["a"]),
        "fed:machine",
        "group of settings",
        "write a mapping",
    ),
    "hospitals as a list": (
        "dev",
        put("fed:hospitals", ["a"]),
        "fed:hospitals",
        "group of settings",
        "write a mapping",
    ),
    "secret": (
        "dev",
        put("fed:centre.secure", "v1:abc"),
        "fed:centre.secure",
        "hold none",
        "plain value",
    ),
    "prod that builds its images": (
        "prod",
        lambda config: config.update({"fed:images": {"build": True}, "fed:registry": {"publicPush": True}}),
        "fed:images.build",
        "prod may not",
        "pin digests",
    ),
    "prod with an open registry": (
        "prod",
        put("fed:registry", {"publicPush": True}),
        "fed:registry.publicPush",
        "reachable from the internet",
        "publicPush: false",
    ),
    "prod without a pinned system": (
        "prod",
        put("fed:machine.image.version", "latest"),
        "fed:machine.image.version",
        "another system",
        "pin a version",
    ),
    "prod without approval": (
        "prod",
        put("fed:approval", "auto"),
        "fed:approval",
        "without anybody",
        "manual",
    ),
    "prod without locks": (
        "prod",
        put("fed:protection.locks", False),
        "fed:protection.locks",
        "delete",
        "locks: true",
    ),
    "prod without protection": (
        "prod",
        put("fed:protection.protectData", False),
        "fed:protection.protectData",
        "pulumi destroy",
        "protectData: true",
    ),
    "prod without own keys": (
        "prod",
        put("fed:encryption", {"purgeProtection": True}),
        "fed:encryption.customerManagedKeys",
        "shred",
        "customerManagedKeys: true",
    ),
    "prod without encryption at host": (
        "prod",
        put("fed:machine.encryptionAtHost", False),
        "fed:machine.encryptionAtHost",
        "stored in clear",
        "encryptionAtHost: true",
    ),
    "prod without versions": (
        "prod",
        put("fed:storage.versioning", False),
        "fed:storage.versioning",
        "back",
        "true",
    ),
    "prod without soft delete": (
        "prod",
        put("fed:storage.softDeleteDays", 0),
        "fed:storage.softDeleteDays",
        "deleted file",
        "7 or more",
    ),
    "prod on one data centre": (
        "prod",
        put("fed:storage.hospitalSku", "Standard_LRS"),
        "fed:storage.hospitalSku",
        "one failed data centre",
        "Standard_ZRS",
    ),
    "prod without flow logs": (
        "prod",
        put("fed:network.flowLogs", False),
        "fed:network.flowLogs",
        "who connected",
        "true",
    ),
    "prod that forgets": (
        "prod",
        put("fed:monitoring.retentionDays", 30),
        "fed:monitoring.retentionDays",
        "no traces",
        "90 or more",
    ),
    "prod without backup": (
        "prod",
        put("fed:backup.enabled", False),
        "fed:backup.enabled",
        "no copy",
        "enabled: true",
    ),
}

#: Mistakes that are two by their nature.
TOGETHER = {"prod that builds its images": {"fed:registry.publicPush"}}


class TestEachMistake:
    @pytest.mark.parametrize("name", MISTAKES)
    def test_is_one_message_with_key_value_consequence_and_mend(self, name: str) -> None:
        stack, mistake, key, why, fix = MISTAKES[name]
        config = stack_config(stack)
        mistake(config)
        found = {violation.where: violation for violation in violations(stack, config)}
        assert set(found) == {key} | TOGETHER.get(name, set())
        assert len(found) == len(violations(stack, config))
        assert why in found[key].why
        assert fix in found[key].fix

    @pytest.mark.parametrize(
        ("name", "word"),
        [
            ("x" * 40, "40 characters"),
            ("Cleveland", "lower-case"),
            ("st_marys", "lower-case"),
            ("two--hyphens", "lower-case"),
            ("-first", "lower-case"),
            ("last-", "lower-case"),
            ("1st", "lower-case"),
            ("centre", "name of its own"),
        ],
    )
    def test_bad_hospital_name(self, name: str, word: str) -> None:
        config = stack_config("dev")
        config["fed:hospitals"][name] = {
            "subscriptionId": "90000000-0000-4000-8000-000000000009",
            "addressSpace": "10.99.0.0/27",
        }
        (found,) = violations("dev", config)
        assert found.where == f"fed:hospitals.{name}"
        assert word in found.why + found.fix

    def test_more_hospitals_than_a_hub_can_peer_with(self) -> None:
        config = stack_config("dev")
        config["fed:hospitals"] = {
            f"hospital-{number}": {
                "subscriptionId": f"90000000-0000-4000-8000-{number:012d}",
                "addressSpace": f"10.{100 + number // 256}.{number % 256}.0/27",
            }
            for number in range(501)
        }
        (found,) = violations("dev", config)
        assert (found.where, found.what) == ("fed:hospitals", "501 hospitals")
        assert "500 peerings" in found.why


class TestWhatIsNoMistake:
    def test_a_hospital_in_a_region_without_zones_whose_account_needs_none(self) -> None:
        config = stack_config("dev")
        config["fed:storage"]["centreSku"] = "Standard_ZRS"
        config["fed:hospitals"]["hungary"]["location"] = "westus"
        assert load("dev", config).hospitals["hungary"].location == "westus"

    def test_a_federation_that_has_no_hospital_yet(self) -> None:
        config = stack_config("dev")
        config["fed:hospitals"] = {}
        assert not load("dev", config).hospitals


class TestSeveralMistakes:
    def test_are_all_reported_at_once_each_with_everything(self) -> None:
        config = stack_config("dev")
        keys = {
            "unknown key",
            "missing tenant",
            "range with host bits",
            "unknown size",
            "badly formed e-mail",
            "day that does not exist",
            "image by tag",
            "build into a closed registry",
        }
        for name in keys:
            MISTAKES[name][1](config)
        with pytest.raises(SettingsError) as caught:
            load("dev", config)
        message = str(caught.value)
        reported = {violation.where for violation in caught.value.violations}
        assert {MISTAKES[name][2] for name in keys} <= reported
        for violation in caught.value.violations:
            for part in (violation.where, violation.why, violation.fix):
                assert part in message
        assert message.startswith(f"Pulumi.dev.yaml: {len(caught.value.violations)} settings are wrong")
        assert message.count("Why it matters:") == message.count("Fix:") == len(caught.value.violations)

    def test_wrong_values_do_not_hide_rules_across_values(self) -> None:
        """cleveland has a wrong size and shares a range and a subscription with hungary: three messages."""
        config = stack_config("dev")
        cleveland, hungary = config["fed:hospitals"]["cleveland"], config["fed:hospitals"]["hungary"]
        cleveland["vmSize"] = "Standard_Z"
        cleveland.update({key: hungary[key] for key in ("addressSpace", "subscriptionId")})
        assert {(v.where.split(".")[-1]) for v in violations("dev", config)} == {
            "vmSize",
            "addressSpace",
            "subscriptionId",
        }


class TestTheProgram:
    def test_ends_with_the_message_alone_and_plans_nothing(self) -> None:
        config = stack_config("dev")
        config["fed:machine"]["size"] = "Standard_Z"
        seen = Graph()
        with pytest.raises(RunError) as caught:
            record("dev", config, into=seen)
        assert "fed:machine.size: Standard_Z" in str(caught.value)
        assert not seen.resources

    @pytest.mark.parametrize("stack", ["dev", "mvp", "prod"])
    def test_reads_the_same_settings_from_pulumi_as_from_the_file(self, stack: str) -> None:
        config = stack_config(stack)
        as_text = {
            key: json.dumps(value) if isinstance(value, (dict, list)) else str(value)
            for key, value in config.items()
        }
        assert load(stack, as_text) == load_stack(ROOT, stack)

    def test_settings_cannot_be_changed(self) -> None:
        settings = load_stack(ROOT, "dev")
        with pytest.raises(Exception, match="frozen"):
            settings.location = "northeurope"


class TestTheFile:
    def test_missing(self, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.dev.yaml").write_text("config: {}")
        with pytest.raises(SettingsError, match=r"no such file.*\n.*use one of the stacks dev"):
            load_stack(tmp_path, "staging")

    @pytest.mark.parametrize("text", ["config: [", "config:\n\tfed:a: 1", "config: {a: 1, a: 2}", "\x00"])
    def test_broken_yaml(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        with pytest.raises(SettingsError, match="no valid YAML"):
            load_stack(tmp_path, "dev")

    @pytest.mark.parametrize("text", ["", "just words", "config:\n", "encryptionsalt: v1:x"])
    def test_without_settings(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        with pytest.raises(SettingsError, match="below `config:`"):
            load_stack(tmp_path, "dev")

    def test_message_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.dev.yaml").write_text("config: {fed:environment: dev}")
        with pytest.raises(SettingsError, match=r"^Pulumi\.dev\.yaml: \d+ settings are wrong"):
            load_stack(tmp_path, "dev")


RESERVED = {"centre", "server", "client", "data", "hospital", "federation", "global", "default", "mlflow"}
names = st.from_regex(r"[a-z](-?[a-z0-9]){0,40}", fullmatch=True)


@given(names)
@example("global")
def test_a_hospital_name_is_taken_exactly_when_it_is_short_enough(name: str) -> None:
    config = copy.deepcopy(_DEV)
    config["fed:hospitals"] = {name: _DEV["fed:hospitals"]["cleveland"]}
    if len(name) <= HOSPITAL_NAME_LENGTH and name not in RESERVED:
        assert list(load("dev", config).hospitals) == [name]
    else:
        assert {v.where for v in violations("dev", config)} == {f"fed:hospitals.{name}"}


_DEV = stack_config("dev")
spaces = st.tuples(st.integers(0, 2**24 - 1), st.integers(20, 27)).map(
    lambda drawn: f"10.{_dotted(drawn[0] >> (27 - drawn[1]) << (27 - drawn[1]), drawn[1])}"
)


def _dotted(start: int, prefix: int) -> str:
    block = (start << 5 & 0xFFFFFF) >> (32 - prefix) << (32 - prefix)
    return f"{block >> 16}.{block >> 8 & 255}.{block & 255}/{prefix}"


@given(st.lists(spaces, min_size=2, max_size=12))
def test_ranges_are_taken_exactly_when_no_two_overlap(ranges: list[str]) -> None:
    config = copy.deepcopy(_DEV)
    config["fed:centre"]["addressSpace"] = "192.168.0.0/24"
    config["fed:hospitals"] = {
        f"h{number}": {"subscriptionId": f"90000000-0000-4000-8000-{number:012d}", "addressSpace": space}
        for number, space in enumerate(ranges)
    }
    networks = [ipaddress.ip_network(space) for space in ranges]
    overlap = any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[i + 1 :])
    if overlap:
        assert all(v.where.endswith(".addressSpace") for v in violations("dev", config))
    else:
        assert len(load("dev", config).hospitals) == len(ranges)
