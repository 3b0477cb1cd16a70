"""What stays of a hospital that has left: its data, and the record of who touches them.

No network, no machine, no role and nothing at the centre: the account has no way in. Names, and the type of
the component, are those of `hospital_tenant.py`, so that nothing that stays is replaced when a hospital
leaves or comes back.
"""

from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import resources

from components.context import Context, UniqueNames
from components.encryption import Encryption, encryption_of
from components.flow_logs import FlowLogs, flow_logs_of
from components.hospital_tenant import DATA_CONTAINER, TYPE, hospital_group
from components.monitoring import Monitoring, MonitoringArgs
from components.private_storage import PrivateStorage, PrivateStorageArgs
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
        context = args.context
        self._has_left = context.party.has_left
        names, protection = context.names, context.settings.protection
        inside = pulumi.ResourceOptions(parent=self)
        compute_group = hospital_group(self, context, "compute", protect=False)
        data_group = hospital_group(self, context, "data", protect=protection.protect_data)
        unique_names = UniqueNames(context, self)
        monitoring = Monitoring(
            names.label("monitoring"),
            MonitoringArgs(context=context, resource_group=compute_group.name, machine=False),
            inside,
        )
        encryption = encryption_of(
            context,
            resource_group=data_group.name,
            unique_names=unique_names,
            monitoring=monitoring,
            opts=inside,
        )
        key = encryption.key if encryption else None
        self.resources = RetiredHospitalResources(
            compute_group=compute_group,
            data_group=data_group,
            monitoring=monitoring,
            encryption=encryption,
            flow_logs=flow_logs_of(
                context,
                account_group=data_group.name,
                unique_names=unique_names,
                recorded=None,
                monitoring=monitoring,
                key=key,
                opts=inside,
            ),
            storage=PrivateStorage(
                names.label("storage"),
                PrivateStorageArgs(
                    context=context,
                    resource_group=data_group.name,
                    unique_names=unique_names,
                    containers=(DATA_CONTAINER,),
                    monitoring=monitoring,
                    key=key,
                    entrance=None,
                ),
                inside,
            ),
        )
        self.register_outputs({"dataGroupId": data_group.id})

    @property
    def keepers_of_state(self) -> dict[str, pulumi.Output[str]]:
        """Ids of what holds data that no run of the program could make again, by a word for each.

        None while the hospital is leaving: Azure lets nobody delete a role assignment below a lock, and the
        machine's role on the data has to go.
        """
        if not self._has_left:
            return {}
        return {"data": self.resources.data_group.id, "workspace": self.resources.monitoring.workspace_id}
