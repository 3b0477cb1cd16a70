"""The control plane: Azure Resource Manager for the resource types of the catalogue.

`ControlPlane(store, key).handle(request)` is the whole of it; http.py puts it on the wire.
"""

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from emulator.arm.messages import Request, Response

__all__ = ["ControlPlane", "Latency", "Request", "Response"]
