"""The types of Azure that are known here, by Pulumi's name and by Resource Manager's."""

import re
from typing import Final

from azure_types.azure_type import AzureType
from azure_types.overrides import TYPES

BY_TOKEN: Final = {type_.pulumi_type: type_ for type_ in TYPES}
BY_ARM_TYPE: Final = {name: type_ for type_ in TYPES for name in type_.arm_types}

_VERSIONED = re.compile(r"azure-native:(?P<module>\w+)/v(?P<version>\w+):(?P<kind>\w+)")


def find(token: str) -> AzureType | None:
    """Return the type of a token, also of one that names the very api-version of the type."""
    versioned = _VERSIONED.fullmatch(token)
    if versioned is None:
        return BY_TOKEN.get(token)
    found = BY_TOKEN.get(f"azure-native:{versioned['module']}:{versioned['kind']}")
    return found if found and found.version.replace("-", "") == versioned["version"] else None
