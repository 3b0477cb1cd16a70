"""What stays of a hospital that has left: its data, and the record of who touches them.

No network, no machine, no role and nothing at the centre: the account has no way in. Names, and the type of
the component, are those of `hospital_tenant.py`, so that nothing that stays is replaced when a hospital
leaves or comes back.
"""

from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import resources

from components.context import Context
from components.encryption import Encryption
from components.flow_logs import FlowLogs
from components.hospital_tenant import TYPE, hospital_foundation
from components.monitoring import Monitoring
from components.private_storage import PrivateStorage
from federation.naming import HOSPITAL_CONTAINERS
from federation.parties import HospitalParty


@dataclass(frozen=True, kw_only=True)
class RetiredHospitalArgs:
    """The hospital's own context."""

    context: Context[HospitalParty]


@dataclass(frozen=True, kw_only=True)
class RetiredHospitalResources:
    """The parts that stay; `encryption` and `flow_logs` are None where they are switched off."""

    compute_group: resources.ResourceGroup
    data_group: resources.ResourceGroup
    monitoring: Monitoring
    encryption: Encryption | None
    flow_logs: FlowLogs | None
    storage: PrivateStorage


@final
class RetiredHospital(pulumi.ComponentResource):
    """A hospital's data without the hospital."""

    def __init__(
        self, name: str, args: RetiredHospitalArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self._has_left = args.context.party.has_left
        base = hospital_foundation(self, args.context, machine=False)
        self.resources = RetiredHospitalResources(
            compute_group=base.compute_group,
            data_group=base.data_group,
            monitoring=base.monitoring,
            encryption=base.encryption,
            flow_logs=base.flow_logs(None),
            storage=base.storage(HOSPITAL_CONTAINERS, None),
        )
        self.register_outputs({"dataGroupId": base.data_group.id})

    @property
    def keepers_of_state(self) -> dict[str, pulumi.Output[str]]:
        """Ids of what holds data that no run of the program could make again, by a word for each.

        None while the hospital is leaving: Azure lets nobody delete a role assignment below a lock, and the
        machine's role on the data has to go.
        """
        if not self._has_left:
            return {}
        return {"data": self.resources.data_group.id, "workspace": self.resources.monitoring.workspace_id}
