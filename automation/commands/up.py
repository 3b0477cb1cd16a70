"""`fed up`: deploy a stack."""

from automation.options import Json, On, Stack, StackOption, Where, Yes, stack_name

PANEL = "Deploy"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deploy a stack and show it; a run that was killed is taken up where it ended.

    On Azure the plan is shown first and you are asked, unless you say --yes.
    """
    from automation import deploy, show_status  # noqa: PLC0415 slow
    from automation.target import open_target  # noqa: PLC0415

    target = open_target(stack_name(stack, stack_option), on)
    outputs = deploy.up(target, ask=on is On.AZURE and not yes)
    show_status.show(target, outputs, as_json=as_json)
