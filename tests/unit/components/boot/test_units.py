"""What cloud-init and systemd do with a VM's boot text: who makes what a unit needs, what waits for what."""

import shlex
import subprocess
from pathlib import Path

from components.boot import BootPlan
from tests.unit.support.boot_text import (
    HOSPITAL,
    PLANS,
    after,
    compose_of,
    config_of,
    file_of,
    requires,
    units_of,
)

ACCOUNTS = ("SocketUser", "SocketGroup", "User", "Group", "SupplementaryGroups")


def commands_of(plan: BootPlan, key: str) -> list[str]:
    """The commands of `bootcmd` or `runcmd` as a shell reads them."""
    return [shlex.join(command) for command in config_of(plan).get(key, [])]


def tool(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def run(command: str, tools: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that finds no program but a shell and the stand-ins in `tools`."""
    (tools / "sh").unlink(missing_ok=True)
    (tools / "sh").symlink_to("/bin/sh")
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": str(tools)},
        check=False,
        capture_output=True,
        text=True,
    )


@PLANS
class TestGroups:
    """systemd resolves a group with get_group_creds(), which refuses a number that /etc/group lacks.

    systemd's src/core/socket.c; seen with 257: "Failed to resolve group 10002", no container ever started.
    """

    def made(self, plan: BootPlan, folder: Path) -> set[str]:
        tool(folder, "getent", "exit 2")
        tool(folder, "groupadd", f'echo "$@" >> {folder}/made')
        (folder / "made").touch()
        for command in commands_of(plan, "bootcmd"):
            assert run(command, folder).returncode == 0
        return {word for line in (folder / "made").read_text().splitlines() for word in line.split()}

    def test_every_account_that_a_unit_names_is_made_before_the_packages(
        self, plan: BootPlan, tmp_path: Path
    ) -> None:
        named = {
            value
            for settings in units_of(plan).values()
            for key, values in settings.items()
            if key.partition(".")[2] in ACCOUNTS
            for value in values
        }
        assert named
        assert named <= self.made(plan, tmp_path)

    def test_every_group_that_a_container_joins_is_made(self, plan: BootPlan, tmp_path: Path) -> None:
        joined = {
            group
            for service in compose_of(plan)["services"].values()
            for group in service.get("group_add", [])
        }
        assert joined
        assert joined <= self.made(plan, tmp_path)

    def test_a_group_that_is_there_is_left_alone(self, plan: BootPlan, tmp_path: Path) -> None:
        tool(tmp_path, "getent", "exit 0")
        tool(tmp_path, "groupadd", "exit 9")  # what it ends with when the number is taken
        assert [run(command, tmp_path).returncode for command in commands_of(plan, "bootcmd")] == [0]


@PLANS
class TestEndOfTheBoot:
    """cloud-init makes one script of runcmd, without `-e`: its last command decides about the error.

    cloudinit/config/cc_runcmd.py; seen in 25.1: docker.socket failed and cloud-init's status was "done".
    """

    def ended(self, plan: BootPlan, tools: Path, waiting: str) -> subprocess.CompletedProcess[str]:
        tool(tools, "systemctl", "exit 0")
        tool(tools, "timeout", waiting)
        return run("\n".join(commands_of(plan, "runcmd")), tools)

    def test_a_boot_without_docker_is_an_error_that_names_it(self, plan: BootPlan, tmp_path: Path) -> None:
        ended = self.ended(plan, tmp_path, "exit 124")
        assert ended.returncode == 1
        assert "no Docker after 20 minutes" in ended.stderr

    def test_a_boot_with_docker_is_none(self, plan: BootPlan, tmp_path: Path) -> None:
        assert self.ended(plan, tmp_path, 'shift; exec "$@"').returncode == 0


@PLANS
class TestPackages:
    """cloud-init waits 30 seconds for dpkg's lock and then goes on without its packages.

    APT_LOCK_WAIT_TIMEOUT in cloudinit/distros/package_management/apt.py. Azure's extensions hold it on first
    boots (Azure/azure-linux-extensions#1499).
    """

    def test_cloud_init_installs_nothing_itself(self, plan: BootPlan) -> None:
        assert not {key for key in config_of(plan) if key.startswith("package")}

    def start(self, plan: BootPlan, tools: Path, **bodies: str) -> list[str]:
        """What the script did until Docker ran, with these stand-ins in place of the real programs."""
        said = f'echo "${{0##*/}} $*" >> {tools}/calls'
        for name in ("apt-get", "dpkg", "udevadm", "systemctl", "docker", "sleep"):
            tool(tools, name, f"{said}\n{bodies.get(name.replace('-', '_'), '')}")
        script = file_of(plan, "/opt/fed/start-docker").replace("/usr/sbin/nft", f"{tools}/nft")
        ended = subprocess.run(
            ["/bin/bash", "-c", script], env={"PATH": str(tools)}, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended
        return (tools / "calls").read_text().splitlines()

    def test_packages_are_tried_again_until_they_are_there(self, plan: BootPlan, tmp_path: Path) -> None:
        third = f"[ -e {tmp_path}/1 ] || {{ > {tmp_path}/1; exit 100; }}"
        third += f"; [ -e {tmp_path}/2 ] || {{ > {tmp_path}/2; exit 100; }}; {self.made(tmp_path)}"
        calls = self.start(plan, tmp_path, apt_get=f'case "$*" in *docker.io*) {third};; esac')
        assert [call for call in calls if call.startswith("sleep")] == ["sleep 15"] * 2
        assert calls[-1] == "systemctl start docker.service"

    def test_dpkgs_lock_is_waited_for(self, plan: BootPlan, tmp_path: Path) -> None:
        calls = self.start(plan, tmp_path, apt_get=self.made(tmp_path))
        installs = [call for call in calls if call.startswith("apt-get") and "docker.io" in call]
        assert len(installs) == 1
        assert "--option=DPkg::Lock::Timeout=600" in installs[0]

    def test_a_disk_that_was_there_first_gets_its_name(self, plan: BootPlan, tmp_path: Path) -> None:
        """The rules for NVMe disks come with a package, after udev has looked at the disk."""
        calls = self.start(plan, tmp_path, apt_get=self.made(tmp_path))
        names = next(at for at, call in enumerate(calls) if "azure-vm-utils" in call)
        assert calls[names + 1] == "udevadm trigger --settle --subsystem-match=block"

    def made(self, tools: Path) -> str:
        return f"> {tools}/nft; /bin/chmod +x {tools}/nft"

    def test_an_image_that_has_docker_needs_no_archive(self, plan: BootPlan, tmp_path: Path) -> None:
        """Where the stack's egress is `none`, none can be reached."""
        tool(tmp_path, "nft", "")
        assert self.start(plan, tmp_path) == ["docker compose version", "systemctl start docker.service"]

    def test_docker_is_started_again_until_it_runs(self, plan: BootPlan, tmp_path: Path) -> None:
        """A data disk that comes late, for one, fails Docker's start as a dependency, which is tried once."""
        tool(tmp_path, "nft", "")
        flag = f"[ -e {tmp_path}/late ] || {{ > {tmp_path}/late; exit 1; }}"
        calls = self.start(plan, tmp_path, systemctl=flag)
        assert [call for call in calls if call.startswith("systemctl")] == [
            "systemctl start docker.service"
        ] * 2


class TestOrder:
    """After every boot, and with the units alone: cloud-init's commands run at the first one only."""

    def test_docker_starts_nothing_before_the_clients_firewall_is_up(self) -> None:
        """Docker starts containers by itself as soon as it runs, long before `fed-containers` does.

        moby/moby#47846. Seen after a power cut: the client's container reached the metadata service.
        """
        units = units_of(HOSPITAL)
        assert "fed-client-network.service" in after(units, "docker.service")
        assert "fed-client-network.service" in requires(units, "docker.service")

    def test_another_firewall_that_flushes_all_rules_comes_before(self) -> None:
        """nftables.service loads /etc/nftables.conf, which Debian and Ubuntu begin with "flush ruleset"."""
        assert "nftables.service" in after(units_of(HOSPITAL), "fed-client-network.service")

    @PLANS
    def test_docker_starts_nothing_before_the_data_disk_is_mounted(self, plan: BootPlan) -> None:
        units = units_of(plan)
        assert "fed-data-disk.service" in after(units, "docker.service")
        assert "fed-data-disk.service" in requires(units, "docker.service")

    @PLANS
    def test_the_data_disk_is_unmounted_after_docker_has_stopped(self, plan: BootPlan) -> None:
        assert "var-lib-fed.mount" in after(units_of(plan), "docker.service")

    @PLANS
    def test_nothing_waits_shorter_for_the_data_disk_than_the_script_does(self, plan: BootPlan) -> None:
        """A mount unit would wait 90 seconds for its device (DefaultDeviceTimeoutSec)."""
        units = units_of(plan)
        assert not [unit for unit in units if unit.endswith((".mount", ".device"))]
        assert "Service.TimeoutStartSec" not in units["fed-data-disk.service"]  # oneshot: none by default

    @PLANS
    def test_containers_are_made_once_docker_runs(self, plan: BootPlan) -> None:
        """Not `Requires=docker.service`: until Docker is installed, that unit is unknown: an error."""
        units = units_of(plan)
        assert {"docker.service", "fed-docker.service"} <= after(units, "fed-containers.service")
        assert requires(units, "fed-containers.service") == {"fed-docker.service"}

    @PLANS
    def test_a_slow_pull_is_not_cut_off(self, plan: BootPlan) -> None:
        """Docker drops a layer that is half there. With 15 minutes a translated machine pulled for ever."""
        (limit,) = units_of(plan)["fed-containers.service"]["Service.TimeoutStartSec"]
        assert int(limit) >= 3600

    @PLANS
    def test_docker_does_not_wait_for_the_unit_that_installs_it(self, plan: BootPlan) -> None:
        """The package starts Docker and waits for it, while the unit waits for the package."""
        assert "fed-docker.service" not in after(units_of(plan), "docker.service")

    @PLANS
    def test_no_unit_waits_for_itself(self, plan: BootPlan) -> None:
        units = units_of(plan)
        assert [unit for unit in units if unit in after(units, unit)] == []

    @PLANS
    def test_every_unit_that_is_required_is_written_or_comes_with_docker(self, plan: BootPlan) -> None:
        units = units_of(plan)
        for unit in ("fed-containers.service", "docker.service"):
            assert requires(units, unit) <= set(units)

    @PLANS
    def test_what_the_container_server_looks_after_is_started_by_it_alone(self, plan: BootPlan) -> None:
        """Docker restarts a container with any other policy by itself, after a power cut too (ADR 0065)."""
        policies = {
            name: service["restart"]
            for name, service in compose_of(plan)["services"].items()
            if "profiles" in service
        }
        managed = ["fl-client", "fl-box", "fl-score"] if plan.is_hospital else ["fl-server"]
        assert policies == dict.fromkeys(managed, "no")
