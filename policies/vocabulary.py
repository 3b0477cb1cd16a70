"""The resource types of this platform, and the tags they carry.

A type that is not verified is refused by the rule ``known-types`` and reported by ``./fed verify``: both
would otherwise say "closed" about something whose effect they do not know. To add a type, first teach
`automation.verify` what it opens (or that it opens nothing), then mark its row in azure_types as verified.
"""

from typing import Final

from azure_types.overrides import TYPES

KNOWN_TYPES: Final = frozenset(type_.pulumi_type for type_ in TYPES if type_.verified)
"""Every Azure type the platform may use."""

TAGGED_TYPES: Final = frozenset(type_.pulumi_type for type_ in TYPES if type_.verified and type_.tagged)
"""Types whose tags Azure keeps and cost reports use."""

REQUIRED_TAGS: Final = ("project", "environment", "party", "managedBy")
"""Tags that every resource of `TAGGED_TYPES` carries."""
