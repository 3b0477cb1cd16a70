"""What a deployed stack says about itself: ids and addresses, nothing secret.

The program writes these outputs (`document`), `fed` reads them back (`read`). Every id is a full Resource
Manager id. While the program runs, what Azure decides is a `pulumi.Output`; afterwards everything is text.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

from federation.parties import CENTRE

Text = TypeVar("Text")
"""`str`, or `pulumi.Output[str]` while the program runs."""


class OutputsError(ValueError):
    """The outputs of a stack lack something: another version of this program wrote them."""


@dataclass(frozen=True, kw_only=True)
class PartyOutputs(Generic[Text]):
    """What the centre and a hospital have in common."""

    subscription: str
    vm: Text
    vnet: Text
    storage_account: Text


@dataclass(frozen=True, kw_only=True)
class CentreOutputs(PartyOutputs[Text]):
    """The centre. `fl_target` is ``<host>:<port>``, `backup` that of its data disk where there is one.

    `questions` is the container for what operators ask, where its door has operators.
    """

    resource_group: Text
    storage_url: Text
    registry: Text
    fl_target: str
    backup: Text | None = None
    questions: Text | None = None


@dataclass(frozen=True, kw_only=True)
class PeeringOutputs(Generic[Text]):
    """Both halves of a hospital's peering."""

    from_hospital: Text
    from_centre: Text


@dataclass(frozen=True, kw_only=True)
class HospitalOutputs(PartyOutputs[Text]):
    """A hospital. `container` is the one that takes its data."""

    compute_resource_group: Text
    data_resource_group: Text
    container: Text
    peerings: PeeringOutputs[Text]


@dataclass(frozen=True, kw_only=True)
class Outputs(Generic[Text]):
    """A stack."""

    environment: str
    location: str
    tenant_id: str
    centre: CentreOutputs[Text]
    hospitals: Mapping[str, HospitalOutputs[Text]]

    @property
    def parties(self) -> Mapping[str, PartyOutputs[Text]]:
        """All parties, the centre first."""
        return {CENTRE: self.centre, **self.hospitals}


def document(outputs: Any) -> dict[str, Any]:
    """Return outputs as Pulumi exports them, by names in camelCase."""
    values = {_camel(field.name): getattr(outputs, field.name) for field in fields(outputs)}
    return {name: _exported(value) for name, value in values.items() if value is not None}


def read(exported: Mapping[str, Any]) -> Outputs[str]:
    """Return what a stack exported; raise OutputsError with what it lacks."""
    try:
        hospitals = {
            name: HospitalOutputs[str](
                **_given(HospitalOutputs, found)
                | {"peerings": PeeringOutputs[str](**_given(PeeringOutputs, found["peerings"]))}
            )
            for name, found in exported["hospitals"].items()
        }
        centre = CentreOutputs[str](**_given(CentreOutputs, exported[CENTRE]))
        return Outputs[str](**_given(Outputs, exported) | {"centre": centre, "hospitals": hospitals})
    except KeyError as error:
        raise OutputsError(f"the stack's outputs do not say {error.args[0]}") from error


def _given(kind: Any, exported: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field.name: exported[_camel(field.name)]
        for field in fields(kind)
        if field.default is MISSING or _camel(field.name) in exported
    }


def _exported(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _exported(one) for name, one in value.items()}
    return document(value) if is_dataclass(value) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
