"""The outputs of a stack that nobody deployed: every id is ``/<party>/<what>``."""

from federation.outputs import CentreOutputs, HospitalOutputs, Outputs, PeeringOutputs


def stack_outputs(*hospitals: str, questions: str | None = None) -> Outputs[str]:
    return Outputs(
        environment="dev",
        location="westeurope",
        tenant_id="t",
        centre=CentreOutputs(
            subscription="s-centre",
            vm="/centre/vm",
            vnet="/centre/vnet",
            storage_account="/centre/storage",
            resource_group="/centre",
            storage_url="https://centre",
            registry="/centre/registry",
            fl_target="fl:8002",
            questions=questions,
        ),
        hospitals={name: _hospital(name) for name in hospitals},
    )


def _hospital(name: str) -> HospitalOutputs[str]:
    return HospitalOutputs(
        subscription=f"s-{name}",
        vm=f"/{name}/vm",
        vnet=f"/{name}/vnet",
        storage_account=f"/{name}/storage",
        compute_resource_group=f"/{name}",
        data_resource_group=f"/{name}-data",
        container=f"/{name}/data",
        peerings=PeeringOutputs(from_hospital=f"/{name}/peering", from_centre=f"/centre/peering-{name}"),
    )
