"""Which images a machine runs: `images.env` on its data disk, and what the container server orders instead.

The part of two files of the product's boot text that is about files: `first-images` and `change-images`
(components/boot/templates), which a real VM runs as they are. Containers are changed by `machine`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Final, final

from emulator.datacentre.errors import DatacentreError

FOLDER: Final = "/var/lib/fed/images"
"""On the machine."""
_VARIABLE = re.compile(r"\$\{(IMAGE_[A-Z0-9_]+)\}")


@final
class ImageOrders:
    """The files in `folder`, which is FOLDER as this machine sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def in_force(self, compose: str, user_data: str) -> dict[str, str]:
        """Return variable -> digest of a compose file; what is not written yet comes from base64 userData.

        Raises DatacentreError for a digest that neither has.
        """
        known = self._read("images.env")
        missing = sorted(set(_VARIABLE.findall(compose)) - known.keys())
        if missing:
            named = _named(user_data)
            if lacking := [variable for variable in missing if variable not in named]:
                raise DatacentreError(f"first-images: userData names no digest for {', '.join(lacking)}.")
            known |= {variable: named[variable] for variable in missing}
            self._write("images.env", "".join(f"{name}={known[name]}\n" for name in sorted(known)))
        return known

    @property
    def order(self) -> dict[str, str] | None:
        """What the container server has ordered; None where nothing is."""
        return self._read("order.env") if (self._folder / "order.env").exists() else None

    def take(self) -> None:
        """Take note that the order is in force."""
        (self._folder / "order.env").replace(self._folder / "images.env")

    def give_up(self, reason: str) -> None:
        """Take note that the images before the order run, and why."""
        self._write("outcome", f"{reason}\n")
        (self._folder / "order.env").unlink()

    def _read(self, name: str) -> dict[str, str]:
        file = self._folder / name
        if not file.exists():
            return {}
        return dict(line.split("=", 1) for line in file.read_text().split())

    def _write(self, name: str, content: str) -> None:
        new = self._folder / f"{name}.new"
        new.write_text(content)
        new.chmod(0o644)  # the container server reads it, which is another user
        os.replace(new, self._folder / name)  # noqa: PTH105 the atomic one


def _named(user_data: str) -> dict[str, str]:
    try:
        images = json.loads(base64.b64decode(user_data, validate=True))["images"]
    except (ValueError, KeyError, TypeError) as wrong:
        raise DatacentreError(f"first-images: userData names no images: {wrong!r}.") from wrong
    return {"IMAGE_" + image.upper().replace("-", "_"): str(digest) for image, digest in images.items()}
