"""The table of resource types that the emulated provider knows.

To add a type, write its row in the module of its Pulumi module (below), then teach emulator/arm what Azure
does with it.
"""

import re
from pathlib import Path

from emulator.plugins.azure_native.shape import Shape
from emulator.plugins.azure_native.shapes import compute, identity, monitor, network, storage

_MODULES = (compute, identity, monitor, network, storage)
SHAPES = {shape.pulumi_type: shape for module in _MODULES for shape in module.SHAPES}
_VERSIONED = re.compile(r"azure-native:(?P<module>\w+)/v(?P<version>\w+):(?P<kind>\w+)")


def find(token: str) -> Shape | None:
    """Return the row of a token, also of one that names the very API version of the row."""
    versioned = _VERSIONED.fullmatch(token)
    if versioned is None:
        return SHAPES.get(token)
    shape = SHAPES.get(f"azure-native:{versioned['module']}:{versioned['kind']}")
    return shape if shape and shape.version.replace("-", "") == versioned["version"] else None


def refusal(token: str) -> str:
    """Return why a token without a row is refused, and where a row for it belongs."""
    module = re.split(r"[:/]", token)[1] if ":" in token else ""
    homes = {
        shape.pulumi_type.split(":")[1]: Path(source.__file__ or "").name
        for source in _MODULES
        for shape in source.SHAPES
    }
    file = f"emulator/plugins/azure_native/shapes/{homes.get(module, '<module>.py')}"
    known = SHAPES.get(re.sub(r"/v\w+:", ":", token))
    if known is not None:
        return (
            f"{token} names an API version that the emulator does not speak: for {known.pulumi_type} it "
            f"speaks {known.version}. Use the token without a version, or add this version in {file}."
        )
    return (
        f"{token} is not emulated: the emulator would not know what Azure does with it. Add its row to "
        f"{file} and its rules to emulator/arm, or deploy it on Azure only."
    )
