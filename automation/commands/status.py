"""`fed status`: what a deployed stack looks like now."""

from automation.options import Json, On, Stack, StackOption, Where, stack_name

PANEL = "Look"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Show the parties: subscription, network, VM, storage, peering; exit with 1 when nothing is deployed."""
    from automation import deploy, show_status  # noqa: PLC0415 slow
    from automation.target import open_target  # noqa: PLC0415

    target = open_target(stack_name(stack, stack_option), on, check=False)
    show_status.show(target, deploy.outputs(target), as_json=as_json)
