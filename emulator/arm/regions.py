"""Azure's regions: names as the API answers them, and as people write them."""

_DISPLAY = (
    "Australia Central", "Australia Central 2", "Austria East", "Belgium Central", "Brazil Southeast",
    "Central US EUAP", "Chile Central", "East US 2 EUAP", "France South", "Germany North",
    "Indonesia Central", "Jio India Central", "Jio India West", "Malaysia West", "Norway West",
    "South Africa West", "Switzerland West", "UAE Central",
    "Australia East", "Australia Southeast", "Brazil South", "Canada Central", "Canada East",
    "Central India", "Central US", "East Asia", "East US", "East US 2", "France Central",
    "Germany West Central", "Israel Central", "Italy North", "Japan East", "Japan West", "Korea Central",
    "Korea South", "Mexico Central", "New Zealand North", "North Central US", "North Europe",
    "Norway East", "Poland Central", "Qatar Central", "South Africa North", "South Central US",
    "South India", "Southeast Asia", "Spain Central", "Sweden Central", "Switzerland North", "UAE North",
    "UK South", "UK West", "West Central US", "West Europe", "West India", "West US", "West US 2",
    "West US 3",
)  # fmt: skip

DISPLAY_NAMES = {name.lower().replace(" ", ""): name for name in _DISPLAY}
"""Region name to display name: ``{"westeurope": "West Europe", ...}``."""

REGIONS = tuple(DISPLAY_NAMES)
"""Every region's name."""


def normalise(location: str) -> str:
    """Return a location as ARM compares it: lower case, no blanks."""
    return location.replace(" ", "").lower()
