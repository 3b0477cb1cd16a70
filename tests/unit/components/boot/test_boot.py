"""What a VM boots from: read back as cloud-init, systemd, nftables and Docker would read it."""

import dataclasses
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any, cast

import pytest

from clone import paths
from components.boot import IMAGES, MAX_CUSTOM_DATA_BYTES, BootPlan, InvalidBootPlanError, cloud_config
from tests.unit.support.boot_text import (
    CENTRE,
    HOSPITAL,
    PLANS,
    REGISTRY,
    compose_of,
    config_of,
    file_of,
    images,
    requires,
    units_of,
)

ROOT = paths.REPOSITORY
MIB = 1 << 20
BOX = ("/var/lib/fed/input", "/var/lib/fed/box")
SHARED = (*BOX, "/var/lib/fed/score")
"""Folders of the client's group, which the box's user is in."""


@PLANS
class TestAnyVm:
    def test_text_fits_azures_limit_with_room_to_spare(self, plan: BootPlan) -> None:
        assert len(cloud_config(plan).encode()) < MAX_CUSTOM_DATA_BYTES / 2

    def test_same_plan_gives_the_same_text(self, plan: BootPlan) -> None:
        assert cloud_config(plan) == cloud_config(dataclasses.replace(plan))

    @pytest.mark.skipif(not shutil.which("cloud-init"), reason="cloud-init is not installed")
    def test_cloud_init_accepts_the_text(self, plan: BootPlan, tmp_path: Path) -> None:
        (tmp_path / "user-data").write_text(cloud_config(plan))
        check = subprocess.run(
            ["cloud-init", "schema", "--config-file", str(tmp_path / "user-data")],
            check=False,
            capture_output=True,
            text=True,
        )
        assert check.returncode == 0, check.stdout + check.stderr
        assert "Valid" in check.stdout

    def test_no_word_of_a_template_is_left_unfilled(self, plan: BootPlan) -> None:
        text = cloud_config(plan).replace("{{.Name}}", "").replace("{{.State.Health.Status}}", "")
        assert "{{" not in text
        assert "{%" not in text

    def test_docker_is_set_up_before_its_package_starts_it(self, plan: BootPlan) -> None:
        assert json.loads(file_of(plan, "/etc/docker/daemon.json"))["log-driver"] == "journald"

    def test_scripts_are_executable_and_parse(self, plan: BootPlan, tmp_path: Path) -> None:
        for file in config_of(plan)["write_files"]:
            if not file["content"].startswith("#!"):
                continue
            assert file["permissions"] == "0755"
            script = tmp_path / Path(file["path"]).name
            script.write_text(file["content"])
            if "python" in file["content"].splitlines()[0]:
                compile(file["content"], file["path"], "exec")
            else:
                subprocess.run(["bash", "-n", str(script)], check=True)

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
    def test_systemd_reads_every_unit_without_complaint(self, plan: BootPlan, tmp_path: Path) -> None:
        units = []
        for file in config_of(plan)["write_files"]:
            if file["path"].startswith("/etc/systemd/system/") and file["path"].count("/") == 4:
                # Programs and files of the VM do not exist here; the units' grammar is what is checked.
                lines = [line for line in file["content"].splitlines() if not line.startswith("Exec")]
                text = "\n".join(lines).replace("[Service]", "[Service]\nExecStart=/bin/true")
                units.append(tmp_path / Path(file["path"]).name)
                units[-1].write_text(text)
        (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
        check = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, units)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        )
        complaints = [line for line in check.stderr.splitlines() if "fed" in line]
        assert complaints == []

    def test_every_container_gives_up_root_and_what_it_does_not_need(self, plan: BootPlan) -> None:
        for name, service in compose_of(plan)["services"].items():
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["read_only"] is True, name
            assert not service.get("privileged"), name
            assert "pids_limit" in service, name

    def test_engine_socket_is_in_the_container_server_only(self, plan: BootPlan) -> None:
        holders = [
            name
            for name, service in compose_of(plan)["services"].items()
            if any("docker.sock" in volume["source"] for volume in service["volumes"])
        ]
        assert holders == ["container-server"]

    def test_every_image_is_of_the_centres_registry_and_of_a_digest_that_is_filled_in(
        self, plan: BootPlan
    ) -> None:
        services = compose_of(plan)["services"]
        run = {name: service["image"] for name, service in services.items()}
        if plan.is_hospital:  # the client's image has what runs in the box, too
            assert {run.pop("fl-box"), run.pop("fl-score")} == {run["fl-client"]}
        assert run == images(*plan.images)

    def test_text_holds_no_digest(self, plan: BootPlan) -> None:
        """Another one would be another custom data, and so another VM (docs/adr/0057)."""
        assert "sha256:" not in "".join(file_of(plan, path) for path in ("/opt/fed/compose.yaml",))

    def test_everything_written_lies_on_the_data_disk(self, plan: BootPlan) -> None:
        for service in compose_of(plan)["services"].values():
            for volume in service["volumes"]:
                assert (
                    volume["source"].startswith("/var/lib/fed/") or volume["source"] == "/var/run/docker.sock"
                )

    def test_every_bind_source_is_made_by_the_unit_that_starts_the_containers(self, plan: BootPlan) -> None:
        unit = file_of(plan, "/etc/systemd/system/fed-containers.service")
        for service in compose_of(plan)["services"].values():
            for volume in service["volumes"]:
                if volume["source"].startswith("/var/lib/fed/"):
                    mode = "0750" if volume["source"] in SHARED else "0700"
                    assert f"-o 10001 -g 10001 -m {mode} {volume['source']}\n" in unit


class TestDataDisk:
    """The disk outlives the VM: the script may format a new one and nothing else.

    Run as it is, with the real tools, on sparse files that stand for disks.
    """

    SIZE = 320 * MIB

    def disk(self, folder: Path) -> Path:
        disk = folder / "disk"
        disk.touch()
        os.truncate(disk, self.SIZE)
        return disk

    def ours(self, folder: Path) -> Path:
        disk = self.disk(folder)
        assert self.run(disk).returncode == 0
        return disk

    def write(self, disk: Path, at: int, content: bytes) -> None:
        with disk.open("r+b") as file:
            file.seek(at)
            file.write(content)

    def written(self, disk: Path) -> tuple[int, int]:
        """What changes with any write to it."""
        return disk.stat().st_mtime_ns, disk.stat().st_blocks

    def run(self, disk: Path, *, mounted: bool = False) -> subprocess.CompletedProcess[str]:
        tools = {
            "blockdev": f"stat -c %s {disk}",
            "mountpoint": f"exit {int(not mounted)}",
            "mount": f"echo $* > {disk.parent}/mounted",
            "sleep": "true",  # else a missing disk is waited for
        }
        (disk.parent / "mounted").unlink(missing_ok=True)
        for name, body in tools.items():
            tool = disk.parent / name
            tool.write_text(f"#!/bin/bash\n{body}\n")
            tool.chmod(0o755)
        script = file_of(CENTRE, "/opt/fed/mount-data-disk")
        script = script.replace("/dev/disk/azure/scsi1/lun0", str(disk)).replace("[ -b", "[ -e")
        script = script.replace("/var/lib/fed", f"{disk.parent}/place")
        return subprocess.run(
            ["bash", "-c", script],
            env={"PATH": f"{disk.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"},
            check=False,
            capture_output=True,
            text=True,
        )

    def test_a_new_disk_is_formatted(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        assert subprocess.check_output(["/usr/sbin/blkid", "-p", "-s", "LABEL", "-o", "value", disk]) == (
            b"feddata\n"
        )

    def test_its_own_disk_is_left_as_it_is(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        before = self.about(disk, "Filesystem UUID")
        assert self.run(disk).returncode == 0
        assert self.about(disk, "Filesystem UUID") == before

    def test_it_is_mounted_so_that_nothing_on_it_is_a_program_or_a_device(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        mounted = (tmp_path / "mounted").read_text().split()
        assert mounted == ["-t", "ext4", "-o", "nosuid,nodev,noexec", str(disk), f"{tmp_path}/place"]

    def test_a_disk_that_is_mounted_is_not_touched(self, tmp_path: Path) -> None:
        self.disk(tmp_path)
        ended = self.run(tmp_path / "disk", mounted=True)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

    def test_what_was_marked_as_damaged_is_checked_before_it_is_mounted(self, tmp_path: Path) -> None:
        """systemd checks and grows what fstab names, and nothing else (systemd-fstab-generator)."""
        disk = self.ours(tmp_path)
        self.damage(disk)
        assert self.run(disk).returncode == 0
        assert self.about(disk, "Filesystem state") == "clean"
        assert (tmp_path / "mounted").exists()

    def test_damage_that_needs_a_person_is_not_mounted(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        self.damage(disk)
        with disk.open("r+b") as file:  # the inodes of the first group
            file.seek(293 * 1024)
            file.write(b"\xa5" * 4096)
        ended = self.run(disk)
        assert ended.returncode == 1
        assert "is damaged (e2fsck ended with 4)" in ended.stderr
        assert not (tmp_path / "mounted").exists()

    def test_the_file_system_grows_with_its_disk(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        before = int(self.about(disk, "Block count"))
        os.truncate(disk, 2 * self.SIZE)
        assert self.run(disk).returncode == 0
        assert int(self.about(disk, "Block count")) == 2 * before

    def damage(self, disk: Path) -> None:
        command = ["/usr/sbin/debugfs", "-w", "-R", "set_super_value state 2", str(disk)]
        subprocess.run(command, check=True, capture_output=True)

    def about(self, disk: Path, what: str) -> str:
        command = ["/usr/sbin/dumpe2fs", "-h", str(disk)]
        said = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True)
        return str(dict(re.findall(r"(.+?): +(.+)", said))[what])

    @pytest.mark.parametrize(
        ("at", "content"),
        [
            (0, b"x" * 4096),
            (63 * MIB, b"x"),
            (256 * MIB, b"x" * 4096),
            (200 * MIB, b"x" * 64 * MIB),
            (SIZE - 512, b"x"),
        ],
        ids=["start", "first part", "copy of a superblock", "middle", "end"],
    )
    def test_a_disk_with_data_of_no_known_kind_is_refused(
        self, tmp_path: Path, at: int, content: bytes
    ) -> None:
        """Plain dm-crypt, for one, has no signature: blkid and wipefs find nothing."""
        disk = self.disk(tmp_path)
        self.write(disk, at, content)
        self.refused(disk, "does not read zeros")

    def test_its_own_disk_without_its_beginning_is_refused(self, tmp_path: Path) -> None:
        """Everything on it can be had again with a copy of the superblock, until somebody formats it."""
        disk = self.ours(tmp_path)
        self.write(disk, 0, bytes(4096))
        self.refused(disk, "does not read zeros")

    def test_another_file_system_is_refused(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        subprocess.run(["/usr/sbin/e2label", disk, "patients"], check=True)
        self.refused(disk, "labelled 'patients', expected ext4 labelled 'feddata'")

    @pytest.mark.parametrize(
        ("at", "content", "named"),
        [
            (510, b"\x55\xaa", "a partition table"),
            (0, b"LUKS\xba\xbe\x00\x02", "holds 'crypto_LUKS'"),
        ],
        ids=["partition table", "LUKS header"],
    )
    def test_a_foreign_disk_is_refused(self, tmp_path: Path, at: int, content: bytes, named: str) -> None:
        disk = self.disk(tmp_path)
        self.write(disk, at, content)
        self.refused(disk, named)

    def test_a_disk_that_may_be_either_of_two_is_refused(self, tmp_path: Path) -> None:
        disk = self.ours(tmp_path)
        iso = b"\x01CD001\x01\x00"
        self.write(disk, 32768, iso)
        self.refused(disk, "cannot be read clearly (blkid ended with 8)")

    def refused(self, disk: Path, why: str) -> None:
        before = self.written(disk)
        ended = self.run(disk)
        assert ended.returncode == 1, ended
        assert why in ended.stderr
        assert "Nothing was formatted" in ended.stderr
        assert self.written(disk) == before
        assert not (disk.parent / "mounted").exists()

    def test_missing_disk_is_an_error_that_names_both_links(self, tmp_path: Path) -> None:
        script = file_of(CENTRE, "/opt/fed/mount-data-disk").replace("sleep 1", "true")
        ended = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        assert "scsi1/lun0" in ended.stderr
        assert "by-lun/0" in ended.stderr


def refused(code: int, body: str) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://asked", code, body, Message(), io.BytesIO(body.encode()))


class TestRegistrySignIn:
    """Docker's credential helper on the VM, run as Docker runs it, with the network in the test's hands.

    Docker shows what a helper that fails printed to stdout, and nothing else of it
    (docker-credential-helpers, client/client.go).
    """

    def run(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        server: str,
        action: str = "get",
        refusal: Exception | None = None,
        from_registry: bool = True,
    ) -> tuple[str, list[urllib.request.Request], int]:
        asked: list[urllib.request.Request] = []

        def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
            asked.append(request)
            if refusal and (len(asked) > 1 or not from_registry):
                raise refusal
            return io.BytesIO(b'{"access_token": "entra", "refresh_token": "registry"}')

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        monkeypatch.setattr(sys, "stdin", io.StringIO(server + "\n"))
        monkeypatch.setattr(sys, "argv", ["docker-credential-fed", action])
        script = file_of(HOSPITAL, "/usr/local/bin/docker-credential-fed")
        ended = 0
        try:
            exec(compile(script, "docker-credential-fed", "exec"), {"__name__": "__main__"})  # noqa: S102
        except SystemExit as error:
            ended = cast(int, error.code)
        return capsys.readouterr().out, asked, ended

    def test_the_vms_identity_is_exchanged_for_the_registrys_token(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed, asked, _ = self.run(monkeypatch, capsys, REGISTRY)
        assert json.loads(printed) == {
            "ServerURL": REGISTRY,
            "Username": "00000000-0000-0000-0000-000000000000",
            "Secret": "registry",
        }
        assert asked[0].get_header("Metadata") == "true"
        assert f"client_id={HOSPITAL.identity_client_id}" in asked[0].full_url
        assert asked[1].full_url == f"https://{REGISTRY}/oauth2/exchange"
        assert b"access_token=entra" in cast(bytes, asked[1].data)

    def test_another_registry_gets_nothing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed, asked, ended = self.run(monkeypatch, capsys, f"{REGISTRY}.evil.example")
        assert (printed, asked, ended) == ("credentials not found in native keychain\n", [], 1)

    def test_nothing_is_stored(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printed, asked, ended = self.run(monkeypatch, capsys, REGISTRY, action="store")
        assert "only 'get'" in printed
        assert (asked, ended) == ([], 1)

    @pytest.mark.parametrize("code", [401, 403])
    def test_a_refusal_by_the_registry_names_the_role(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
    ) -> None:
        printed, _, ended = self.run(monkeypatch, capsys, REGISTRY, refusal=refused(code, "UNAUTHORIZED"))
        assert ended == 1
        assert f"{REGISTRY} answered {code}" in printed
        assert "AcrPull" in printed
        assert "UNAUTHORIZED" in printed

    @pytest.mark.parametrize(
        ("refusal", "from_registry", "named"),
        [
            (urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")), True, REGISTRY),
            (urllib.error.URLError(socket.gaierror("no such name")), True, REGISTRY),
            (TimeoutError("timed out"), True, REGISTRY),
            (refused(503, "busy"), True, REGISTRY),
            (refused(400, "Identity not found"), False, "metadata service"),
            (urllib.error.URLError(OSError("no route")), False, "metadata service"),
        ],
        ids=["certificate", "name", "silence", "busy", "no identity", "no metadata service"],
    )
    def test_any_other_failure_names_what_failed_and_no_role(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        refusal: Exception,
        from_registry: bool,
        named: str,
    ) -> None:
        printed, _, ended = self.run(
            monkeypatch, capsys, REGISTRY, refusal=refusal, from_registry=from_registry
        )
        assert ended == 1
        assert named in printed
        assert "AcrPull" not in printed


class TestHospital:
    def test_client_waits_for_the_container_server(self) -> None:
        client = compose_of(HOSPITAL)["services"]["fl-client"]
        assert client["profiles"] == ["managed"]

    def test_client_has_its_own_network_and_one_name(self) -> None:
        compose = compose_of(HOSPITAL)
        client = compose["services"]["fl-client"]
        assert client["networks"] == ["client"]
        assert "network_mode" not in client
        assert client["extra_hosts"] == ["fl.federation.internal:10.0.0.4"]
        network = compose["networks"]["client"]
        assert network["driver_opts"]["com.docker.network.bridge.name"] == "br-fedclient"
        assert network["ipam"]["config"] == [{"subnet": "172.30.0.0/24"}]

    def test_client_reads_kit_data_and_answers_but_writes_only_its_work(self) -> None:
        volumes = compose_of(HOSPITAL)["services"]["fl-client"]["volumes"]
        assert {volume["target"]: volume.get("read_only", False) for volume in volumes} == {
            "/kit": True,
            "/data": True,
            "/answers": True,
            "/var/lib/fl": False,
            "/box": False,
        }

    def test_box_has_no_network_no_key_and_nothing_of_a_disk_to_write_to(self) -> None:
        box = compose_of(HOSPITAL)["services"]["fl-box"]
        assert box["network_mode"] == "none"
        assert "networks" not in box
        assert {volume["source"]: volume["read_only"] for volume in box["volumes"]} == dict.fromkeys(
            BOX, True
        )
        assert (box["read_only"], box["cap_drop"]) == (True, ["ALL"])
        assert "init" not in box  # it would be a process without the program's filter of system calls
        assert box["security_opt"] == ["no-new-privileges:true"]
        assert "environment" not in box
        assert "group_add" not in box

    def test_what_predicts_is_the_same_box_that_sees_a_model_and_no_data(self) -> None:
        services = compose_of(HOSPITAL)["services"]
        differs = {"container_name": "fl-score", "entrypoint": ["python3", "-m", "fed_box.score"]}
        volume = {"type": "bind", "source": "/var/lib/fed/score", "target": "/box", "read_only": True}
        assert services["fl-score"] == {**services["fl-box"], **differs, "volumes": [volume]}

    def test_box_with_libraries_is_the_same_box_of_another_image(self) -> None:
        plan = dataclasses.replace(HOSPITAL, boxes=("tabular",))
        services = compose_of(plan)["services"]
        differs = {"image": images("box-tabular")["box-tabular"], "container_name": "fl-box-tabular"}
        assert services["fl-box-tabular"] == {**services["fl-box"], **differs}

    @PLANS
    def test_whoever_chooses_a_box_knows_the_images_by_digest(self, plan: BootPlan) -> None:
        boxes = ("torch", "tabular")
        known = f"tabular@sha256:{'0123456789abcdef' * 4} torch@sha256:{'0123456789abcdef' * 4}"
        services = compose_of(dataclasses.replace(plan, boxes=boxes))["services"]
        told = {
            name for name, one in services.items() if known == one.get("environment", {}).get("FED_BOXES")
        }
        assert told == ({"container-server", "fl-client"} if plan.is_hospital else {"container-server"})
        assert compose_of(plan)["services"]["container-server"]["environment"]["FED_BOXES"] == ""

    def test_box_that_is_none_is_refused(self) -> None:
        with pytest.raises(InvalidBootPlanError, match="boxes"):
            dataclasses.replace(HOSPITAL, boxes=("x: {}",))

    def test_gpu_is_passed_to_boxes_alone(self) -> None:
        plan = dataclasses.replace(HOSPITAL, gpus=2, boxes=("torch",))
        services = compose_of(plan)["services"]
        with_gpu = {
            name for name, one in services.items() if "devices" in one or "gpu" in str(one["volumes"])
        }
        assert with_gpu == {"fl-box", "fl-box-torch"}
        box = services["fl-box-torch"]
        assert box["devices"] == ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"]
        assert box["volumes"][-1] == {
            "type": "bind",
            "source": "/var/lib/fed/gpu",
            "target": "/gpu",
            "read_only": True,
        }
        assert box["environment"] == {"LD_LIBRARY_PATH": "/gpu"}
        assert (box["cap_drop"], box["network_mode"], box["user"]) == (["ALL"], "none", "10003:10001")
        unit = file_of(plan, "/etc/systemd/system/fed-containers.service")
        assert "-o 10001 -g 10001 -m 0750 /var/lib/fed/gpu\n" in unit

    def test_without_one_nothing_of_it_is_there(self) -> None:
        assert "nvidia" not in cloud_config(HOSPITAL)

    def test_driver_is_ubuntus_signed_one_and_without_it_the_hospital_runs(self, tmp_path: Path) -> None:
        plan = dataclasses.replace(HOSPITAL, gpus=1)
        script = tmp_path / "start-gpu"
        script.write_text(file_of(plan, "/opt/fed/start-gpu"))
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert '"linux-modules-nvidia-$driver-$(uname -r)"' in script.read_text()
        units = units_of(plan)
        assert "fed-gpu.service" not in requires(units, "fed-containers.service")
        assert units["fed-containers.service"]["Unit.Wants"] == ["fed-gpu.service"]
        assert "fed-containers.service" in units["fed-gpu.service"]["Unit.Before"]

    def test_centre_has_none(self) -> None:
        with pytest.raises(InvalidBootPlanError, match="no job's code runs at the centre"):
            dataclasses.replace(CENTRE, gpus=1)

    def test_box_has_a_user_that_reads_with_the_clients_group_and_owns_nothing(self) -> None:
        assert compose_of(HOSPITAL)["services"]["fl-box"]["user"] == "10003:10001"

    def test_box_is_bounded_in_memory_processes_and_scratch(self) -> None:
        box = compose_of(HOSPITAL)["services"]["fl-box"]
        assert box["memswap_limit"] == box["mem_limit"]  # no swap on top
        assert box["pids_limit"] <= 256
        assert box["cpu_shares"] < 1024  # Docker's default: what the others have
        assert box["tmpfs"] == ["/tmp:size=256m,noexec,nosuid,nodev"]  # noqa: S108
        assert box["shm_size"] == "64m"

    def test_image_of_client_and_box_makes_no_volume(self) -> None:
        """Docker makes each on the disk where a container mounts nothing there, writable and kept."""
        lines = (ROOT / IMAGES["fl-client"].dockerfile).read_text().splitlines()
        assert not [line for line in lines if line.startswith("VOLUME")]

    def test_client_gets_no_identity(self) -> None:
        assert "AZURE_CLIENT_ID" not in compose_of(HOSPITAL)["services"]["fl-client"]["environment"]

    def test_firewall_allows_the_server_then_drops_the_rest(self) -> None:
        """Seen without the rule: `docker run` without a network reaches the metadata service by docker0."""
        rules = [
            line.strip()
            for line in file_of(HOSPITAL, "/opt/fed/client-network.nft").splitlines()
            if line.strip().startswith("iifname")
        ]
        assert rules == [
            'iifname "br-fedclient" ip daddr 10.0.0.4 tcp dport 8002 accept',
            'iifname "br-fedclient" counter drop',
            'iifname "docker0" counter drop',
            'iifname { "br-fedclient", "docker0" } counter drop',
        ]

    @pytest.mark.skipif(
        not shutil.which("nft") or os.geteuid() != 0, reason="needs nft and root to check its grammar"
    )
    def test_nftables_accepts_the_firewall(self, tmp_path: Path) -> None:
        (tmp_path / "client.nft").write_text(file_of(HOSPITAL, "/opt/fed/client-network.nft"))
        check = subprocess.run(
            ["unshare", "--net", "nft", "-f", str(tmp_path / "client.nft")],
            check=False,
            capture_output=True,
            text=True,
        )
        assert check.returncode == 0, check.stderr

    def test_pinned_root_reaches_the_container_server(self) -> None:
        pin = "SHA256:" + ":".join(["AB"] * 32)
        pinned = compose_of(dataclasses.replace(HOSPITAL, root_fingerprint=pin))
        assert pinned["services"]["container-server"]["environment"]["FED_ROOT_FINGERPRINT"] == pin


class TestCentre:
    def test_it_names_no_hospital(self) -> None:
        assert not [
            name for name in ("cleveland", "hungary", "va-long-beach") if name in cloud_config(CENTRE)
        ]

    def test_server_waits_for_its_kit_and_mlflow_does_not(self) -> None:
        services = compose_of(CENTRE)["services"]
        assert services["fl-server"]["profiles"] == ["managed"]
        assert "profiles" not in services["mlflow"]

    @pytest.mark.parametrize(("folder", "reader"), [("sign-in", "mlflow"), ("tracking", "fl-server")])
    def test_only_the_container_server_writes_who_may_use_mlflow(self, folder: str, reader: str) -> None:
        mounts = {
            name: volume.get("read_only", False)
            for name, service in compose_of(CENTRE)["services"].items()
            for volume in service["volumes"]
            if volume["source"] == f"/var/lib/fed/{folder}"
        }
        assert mounts == {"container-server": False, reader: True}

    def test_artifacts_go_to_the_centres_own_container(self) -> None:
        environment = compose_of(CENTRE)["services"]["mlflow"]["environment"]
        assert environment["FED_ARTIFACTS"] == "wasbs://server@stfedcentre1a2b.blob.core.windows.net/mlflow"


class TestMistakes:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"fl_address": "10.0.0.0/24"}, "fl_address"),
            ({"fl_port": 0}, "fl_port"),
            ({"registry": "x.io; rm -rf /"}, "registry"),
            ({"party": "Va Long Beach"}, "party"),
            ({"identity_client_id": "me"}, "identity_client_id"),
            ({"own_storage_url": None}, "own_storage_url"),
            ({"hub_storage_url": "http://stfed.blob.core.windows.net"}, "hub_storage_url"),
            ({"root_fingerprint": "ab:cd"}, "root_fingerprint"),
        ],
    )
    def test_wrong_field_is_named(self, change: dict[str, Any], named: str) -> None:
        with pytest.raises(InvalidBootPlanError, match=r"va-long-beach|Va Long Beach") as refusal:
            dataclasses.replace(HOSPITAL, **change)
        assert named in str(refusal.value)

    def test_centre_takes_no_hospital_settings(self) -> None:
        with pytest.raises(InvalidBootPlanError) as refusal:
            dataclasses.replace(
                CENTRE,
                own_storage_url=HOSPITAL.own_storage_url,
                root_fingerprint="SHA256:" + ":".join(["00"] * 32),
            )
        assert len(str(refusal.value).splitlines()) == 2


def test_every_image_of_a_plan_has_its_source() -> None:
    assert set(IMAGES) == {*CENTRE.images, *HOSPITAL.images}
