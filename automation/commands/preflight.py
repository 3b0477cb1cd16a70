"""`fed preflight`: what each subscription lacks before the first deployment."""

from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code

PANEL = "Deliver"


def command(
    stack: Stack = None, stack_option: StackOption = None, on: Where = On.AZURE, as_json: Json = False
) -> None:
    """Say what each party's subscription lacks before the first `fed up`, with the command that mends it.

    Resource providers, features, sizes and quotas, your permissions, Network Watcher. Nothing is changed.
    Exit code 1 when something is missing.
    """
    import dataclasses  # noqa: PLC0415
    import json  # noqa: PLC0415

    import typer  # noqa: PLC0415

    from automation.delivery import placeholders  # noqa: PLC0415
    from automation.hospitals import preflight  # noqa: PLC0415
    from automation.stacks.where import resource_manager  # noqa: PLC0415
    from emulator import paths  # noqa: PLC0415
    from emulator.arm.tokens import TENANT_ID  # noqa: PLC0415
    from federation.parties import federation  # noqa: PLC0415
    from federation.stack_file import load_stack  # noqa: PLC0415

    name = stack_name(stack, stack_option)
    settings = load_stack(paths.REPOSITORY, name)
    if on is On.EMULATOR:  # its one tenant stands for whichever the file names
        settings = settings.model_copy(update={"tenant_id": TENANT_ID})
    else:
        placeholders.refuse(paths.REPOSITORY, f"Pulumi.{name}.yaml")
    whole = federation(settings)
    arm = resource_manager(on)
    found = [
        one for party in whole.parties for one in preflight.missing(whole, party, preflight.ask(arm, party))
    ]
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    else:
        for number, one in enumerate(found, start=1):
            print(f"{number}. {one.party} lacks {one.what}\n   {one.why}.\n   Mend: {one.mend}\n")
        print(
            f"{len(found)} missing."
            if found
            else f"Nothing is missing in {len(whole.parties)} subscriptions."
        )
    if found:
        raise typer.Exit(Code.NO)
