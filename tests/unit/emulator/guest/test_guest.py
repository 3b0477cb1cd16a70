"""What real machines are made of: recipes, the trial of the processor, and the beginnings of Dockerfiles."""

import hashlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from components.boot.images import IMAGES
from emulator.guest import accelerator, containers, recipe
from emulator.guest.containers import beginning
from emulator.guest.orders import Orders
from emulator.guest.recipe import BUILDER, GUESTS, PYTHON, Recipe
from emulator.guest.store import GuestError, GuestStore, run, use


class TestRecipe:
    @pytest.mark.parametrize("made", [*GUESTS.values(), BUILDER, PYTHON], ids=lambda made: made.name)
    def test_security_updates_are_in_it(self, made: Recipe) -> None:
        assert any(f"{made.suite}-security" in source for source in made.sources)

    @pytest.mark.parametrize("guest", GUESTS.values(), ids=GUESTS)
    def test_a_guest_has_what_the_boot_files_call(self, guest: Recipe) -> None:
        assert {"cloud-init", "docker.io", "nftables", "python3", "e2fsprogs", "qemu-guest-agent"} <= set(
            guest.packages
        )

    @pytest.mark.parametrize("guest", GUESTS.values(), ids=GUESTS)
    def test_a_guest_can_sign_root_in_at_its_terminal(self, guest: Recipe) -> None:
        """agetty executes /bin/login, which is in no package that Debian 13 has to have."""
        assert "login" in guest.packages

    def test_another_recipe_is_another_image(self) -> None:
        assert len({made.mark for made in (*GUESTS.values(), BUILDER, PYTHON)}) == len(GUESTS) + 2

    def test_a_changed_script_is_another_image(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = GUESTS["debian"].mark
        for file in recipe.FILES.iterdir():
            (tmp_path / file.name).write_text(file.read_text())
        monkeypatch.setattr(recipe, "FILES", tmp_path)
        assert GUESTS["debian"].mark == before
        (tmp_path / "customize").write_text("#!/bin/sh\n")
        assert GUESTS["debian"].mark != before


class TestAccelerator:
    def test_a_kernel_that_speaks_is_alive(self) -> None:
        assert accelerator.speaks([sys.executable, "-c", "print('[0.0] Linux version 6.12')"], 10)

    @pytest.mark.parametrize("program", ["print('emulation failure')", "import time; time.sleep(30)"])
    def test_one_that_dies_or_stays_silent_is_not(self, program: str) -> None:
        assert not accelerator.speaks([sys.executable, "-c", program], 0.5)

    def test_without_a_device_nothing_is_tried(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accelerator, "DEVICE", tmp_path / "kvm")
        assert accelerator.choose(tmp_path) == accelerator.TCG


class TestContainers:
    @pytest.mark.parametrize("source", IMAGES.values(), ids=IMAGES)
    def test_each_image_of_ours_begins_with_one_that_can_be_made(self, source: object) -> None:
        dockerfile = Path(source.dockerfile)  # type: ignore[attr-defined]
        assert beginning(dockerfile) in PYTHON.name

    def test_a_second_beginning_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM a:1 AS build\nFROM b:2\nCOPY --from=build /x /x\n")
        with pytest.raises(GuestError, match="a:1 and b:2"):
            beginning(tmp_path / "Dockerfile")

    def test_the_digest_is_that_of_the_manifest(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_bytes(b"{}")
        assert containers.digest(tmp_path) == hashlib.sha256(b"{}").hexdigest()

    @pytest.mark.skipif(os.geteuid() != 0, reason="builds need root, as real machines do")
    def test_nothing_of_a_build_outlives_whoever_wanted_it(self, tmp_path: Path) -> None:
        build = tmp_path / "build-container"
        build.write_text(f"#!/bin/bash\nexec 9>{tmp_path}/alive\nsleep 1000 &\necho begun >&9\nwait\n")
        build.chmod(0o755)
        (tmp_path / "authority.pem").touch()
        os.mkfifo(tmp_path / "alive")
        alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
        wanting = subprocess.Popen([sys.executable, "-c", _BUILD, str(tmp_path)])
        try:
            assert select.select([alive], [], [], 30)[0]
            assert os.read(alive, 100) == b"begun\n"
            wanting.kill()
            assert select.select([alive], [], [], 10)[0]
            assert os.read(alive, 100) == b""  # nobody has the other end any more
        finally:
            wanting.kill()
            wanting.wait()
            os.close(alive)


_BUILD = """
import sys
from pathlib import Path
from emulator.guest import containers
from emulator.guest.store import GuestStore

folder = containers.FILES = Path(sys.argv[1])
store = GuestStore(folder / "store", print)
store.folder.mkdir()
made = containers.Containers(store=store, authority=folder / "authority.pem")
made._make(folder / "made", "python:3", {"DOCKERFILE": "Dockerfile"})
"""


class TestStore:
    def test_is_made_once_and_what_failed_is_made_anew(self, tmp_path: Path) -> None:
        made: list[Path] = []
        said: list[str] = []
        store = GuestStore(tmp_path, said.append)

        def fails(folder: Path) -> None:
            (folder / "half").touch()
            run(["false"], "make it")

        with pytest.raises(GuestError, match="could not make it"):
            store._once("thing", BUILDER, fails, "a thing")
        for _ in range(2):
            assert not (store._once("thing", BUILDER, made.append, "a thing") / "half").exists()
        assert len(made) == 1
        assert len(said) == 2

    def test_what_a_command_complained_of_is_told(self) -> None:
        with pytest.raises(GuestError, match=r"(?s)could not do.*ended with 3.*why"):
            run(["sh", "-c", "echo why >&2; exit 3"], "do")


class TestPrune:
    """A store at a moment 40 days after everything in it was used last."""

    NOW = 1_000_000_000.0

    @pytest.fixture
    def store(self, tmp_path: Path) -> GuestStore:
        store = GuestStore(tmp_path / "store", print)
        names = ("guest-old", "builder-old", "lone-old", "containers/0a", "containers/0b", "buildah/images")
        for name in (*names, f"guest-{recipe.guest().mark}", f"builder-{BUILDER.mark}"):
            (store.folder / name).mkdir(parents=True)
        (store.folder / "buildah" / "begun").touch()
        for path in (*store.folder.iterdir(), *store.folder.glob("*/*")):
            self.age(path, 40)
        return store

    def age(self, path: Path, days: int) -> None:
        os.utime(path, (self.NOW - days * 86400,) * 2)

    def left(self, store: GuestStore) -> set[str]:
        found = (*store.folder.glob("*-*"), *store.folder.glob("containers/*"), *store.folder.glob("buildah"))
        return {str(path.relative_to(store.folder)) for path in found}

    def test_what_nobody_used_goes_and_todays_recipes_stay(self, store: GuestStore) -> None:
        gone = {str(path.relative_to(store.folder)) for path in store.prune(self.NOW)}
        old = {"guest-old", "builder-old", "lone-old", "containers/0a", "containers/0b", "buildah"}
        assert gone == old
        assert self.left(store) == {f"guest-{recipe.guest().mark}", f"builder-{BUILDER.mark}"}

    def test_what_was_used_lately_stays(self, store: GuestStore) -> None:
        for name in ("guest-old", "buildah/begun"):
            self.age(store.folder / name, 29)
        self.age(store.folder / "containers" / "0a", 1)
        store.prune(self.NOW)
        assert {"guest-old", "buildah", "containers/0a"} <= self.left(store)
        assert "containers/0b" not in self.left(store)

    def test_a_guests_image_stays_while_a_vms_disk_needs_it(self, store: GuestStore, tmp_path: Path) -> None:
        image, own = store.folder / "guest-old", tmp_path / "vm"
        own.mkdir()
        (own / "image").symlink_to(image)
        use(image, own)
        self.age(image, 40)
        assert image not in store.prune(self.NOW)
        (own / "image").unlink()
        assert image in store.prune(self.NOW)

    def test_what_is_used_again_is_as_new(self, store: GuestStore) -> None:
        made = store._once("guest", recipe.guest(), Path.mkdir, "it")
        assert made.stat().st_mtime > self.NOW


def test_orders_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert Orders.load(tmp_path / "real.json") is None
    orders = Orders(machines=("vm-a",), image="/image", accelerator="kvm", containers=("a", "b"))
    orders.write(tmp_path / "real.json")
    assert Orders.load(tmp_path / "real.json") == orders
    assert json.loads((tmp_path / "real.json").read_text())["machines"] == ["vm-a"]
