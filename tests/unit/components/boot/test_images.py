"""Which images a VM runs at first, and what its unit does with an order of others: the scripts."""

import base64
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from components.boot import BootPlan, variable
from tests.unit.support.boot_text import DIGEST, HOSPITAL, PLANS, file_of, units_of, user_data

OLD, NEW = f"IMAGE_FL_CLIENT=sha256:{'0' * 64}\n", f"IMAGE_FL_CLIENT=sha256:{'1' * 64}\n"
DOCKER = """#!/bin/bash
echo "$*" >>"$CALLS"
case " $* " in
  *" config "*) echo registry/fl-client@sha256:0 ;;
  *" image inspect "*) [ -n "$HERE" ] ;;
  *" pull "*) [ "$FAILS" != pull ] || { echo "manifest unknown" >&2; exit 1; } ;;
  *order.env*" create "*) [ "$FAILS" != create ] || exit 1 ;;
  *" inspect "*) [ "$FAILS" = health ] && echo unhealthy || echo healthy ;;
esac
"""


class Vm:
    """A folder for the data disk, and a docker that notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.images.mkdir()
        self.calls = folder / "calls"
        self.tools = folder / "bin"
        self.tools.mkdir()
        (self.tools / "docker").write_text(DOCKER)
        (self.tools / "docker").chmod(0o755)
        (self.images / "images.env").write_text(OLD)
        text = file_of(HOSPITAL, "/opt/fed/change-images").replace("/var/lib/fed/images", str(self.images))
        self.script = folder / "change-images"
        self.script.write_text(text.replace("PATIENCE=180", "PATIENCE=0"))

    def change(self, fails: str = "", here: str = "") -> list[str]:
        told = {"PATH": f"{self.tools}:{os.environ['PATH']}", "CALLS": str(self.calls), "FAILS": fails}
        told["HERE"] = here
        subprocess.run(["bash", str(self.script)], check=True, env=told, umask=0o077)
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [call for call in calls if " config " not in call and not call.startswith("image ")]

    def read(self, name: str) -> str | None:
        file = self.images / name
        return file.read_text() if file.exists() else None


@pytest.fixture
def vm(tmp_path: Path) -> Vm:
    return Vm(tmp_path)


class TestChange:
    def test_without_an_order_nothing_is_done(self, vm: Vm) -> None:
        assert vm.change() == []
        assert vm.read("images.env") == OLD

    def test_they_are_pulled_made_and_started_and_then_in_force(self, vm: Vm) -> None:
        (vm.images / "order.env").write_text(NEW)
        calls = vm.change()
        assert [" ".join(call.split()[5:]) for call in calls[:3]] == [
            "--profile managed pull --quiet",
            "--profile managed create --quiet-pull",
            "up --detach",
        ]
        assert all(f"--env-file {vm.images}/order.env" in call for call in calls[:3])
        assert (vm.read("images.env"), vm.read("order.env"), vm.read("outcome")) == (NEW, None, None)

    def test_one_that_cannot_be_pulled_changes_nothing(self, vm: Vm) -> None:
        (vm.images / "order.env").write_text(NEW)
        calls = vm.change(fails="pull")
        assert len(calls) == 1
        assert (vm.read("images.env"), vm.read("order.env")) == (OLD, None)
        assert vm.read("outcome") == "an image cannot be pulled: manifest unknown\n"
        assert (vm.images / "outcome").stat().st_mode & 0o777 == 0o644

    def test_way_back_needs_no_registry(self, vm: Vm) -> None:
        """Else a VM whose new images fail while the registry does not answer stays with those for good."""
        (vm.images / "order.env").write_text(NEW)
        calls = vm.change(fails="pull", here="all")
        assert "pull --quiet" not in " ".join(calls)
        assert (vm.read("images.env"), vm.read("order.env")) == (NEW, None)

    @pytest.mark.parametrize("fails", ["create", "health"])
    def test_where_they_do_not_run_those_before_run_again(self, vm: Vm, fails: str) -> None:
        (vm.images / "order.env").write_text(NEW)
        calls = vm.change(fails=fails)
        assert f"--env-file {vm.images}/images.env" in calls[-1]
        assert calls[-1].endswith("up --detach")
        assert (vm.read("images.env"), vm.read("order.env")) == (OLD, None)
        assert (vm.read("outcome") or "").startswith("the new container server was not well within")

    def test_unit_begins_an_order_that_was_cut_off_again(self) -> None:
        units = units_of(HOSPITAL)
        assert units["fed-images.path"]["Path.PathExists"] == ["/var/lib/fed/images/order.env"]
        assert units["fed-images.service"]["Service.ExecStart"] == ["/opt/fed/change-images"]

    def test_boot_leaves_containers_that_are_there_as_they_are(self) -> None:
        """In the middle of a change they would be made again with the images before."""
        commands = units_of(HOSPITAL)["fed-containers.service"]["Service.ExecStart"]
        assert all("--no-recreate" in command for command in commands)
        assert all("--env-file /var/lib/fed/images/images.env" in command for command in commands)


class Metadata(BaseHTTPRequestHandler):
    content = ""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Metadata"] == "true" else 400)
        self.end_headers()
        self.wfile.write(self.content.encode())

    def log_message(self, *given: object) -> None:
        """Say nothing."""


class TestFirst:
    def run(self, plan: BootPlan, folder: Path, content: str) -> subprocess.CompletedProcess[str]:
        Metadata.content = content
        server = HTTPServer(("127.0.0.1", 0), Metadata)
        Thread(target=server.serve_forever, daemon=True).start()
        text = file_of(plan, "/opt/fed/first-images").replace("/var/lib/fed/images", str(folder))
        text = text.replace("169.254.169.254", f"127.0.0.1:{server.server_port}")
        try:
            return subprocess.run([sys.executable, "-c", text], check=False, capture_output=True, text=True)
        finally:
            server.shutdown()

    @PLANS
    def test_they_are_those_that_the_stack_names(self, plan: BootPlan, tmp_path: Path) -> None:
        done = self.run(plan, tmp_path, user_data(*plan.images))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "images.env").stat().st_mode & 0o777 == 0o644
        written = {f"{variable(image)}={DIGEST}" for image in plan.images}
        assert set((tmp_path / "images.env").read_text().split()) == written

    def test_what_runs_already_stays(self, tmp_path: Path) -> None:
        """A new VM with the disk of the one before: others are an order, which waits for people."""
        (tmp_path / "images.env").write_text(OLD)
        assert self.run(HOSPITAL, tmp_path, user_data(*HOSPITAL.images)).returncode == 0
        assert OLD in (tmp_path / "images.env").read_text()
        assert f"IMAGE_CONTAINER_SERVER={DIGEST}" in (tmp_path / "images.env").read_text()

    def test_what_is_no_digest_starts_nothing(self, tmp_path: Path) -> None:
        told = {"images": dict.fromkeys(HOSPITAL.images, "latest")}
        done = self.run(HOSPITAL, tmp_path, base64.b64encode(json.dumps(told).encode()).decode())
        assert done.returncode != 0
        assert "userData names no digest of" in done.stderr
        assert not (tmp_path / "images.env").exists()
