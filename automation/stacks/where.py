"""Azure Resource Manager, real or emulated, as the caller may use it."""

from automation.stacks.arm import Arm, Endpoint
from automation.ui.options import On

AZURE = "https://management.azure.com"


def resource_manager(on: On) -> Arm:
    """Resource Manager: Azure's under your own login or the job's, or the emulator's, started when needed."""
    if on is On.AZURE:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 slow, and not needed on the emulator

        return Arm(Endpoint(url=AZURE, credential=DefaultAzureCredential()))

    from emulator.control import Emulator  # noqa: PLC0415
    from emulator.credential import EmulatorCredential  # noqa: PLC0415

    emulator = Emulator.ensure()
    return Arm(
        Endpoint(
            url=emulator.record.arm,
            credential=EmulatorCredential(emulator.home),
            verify=emulator.ssl_context(),
            proxies=False,
        )
    )
