"""`fed preflight`: what each subscription lacks before the first deployment."""

import dataclasses
import json

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code

with lazily():
    from automation.delivery import placeholders
    from automation.hospitals import preflight
    from automation.stacks import arm
    from clone import paths
    from emulator.arm import tokens
    from federation import parties, problem, stack_file

PANEL = "Deliver"


def command(
    stack: Stack = None, stack_option: StackOption = None, on: Where = On.AZURE, as_json: Json = False
) -> None:
    """Say what each party's subscription lacks before the first `fed up`, with the command that fixes it.

    Resource providers, features, sizes and quotas, image, storage redundancy, names that a deletion keeps,
    your permissions, Network Watcher, policies that would deny something, who pays. Nothing is changed.
    Exit code 1 when something is missing.
    """
    name = stack_name(stack, stack_option)
    settings = stack_file.load_stack(paths.REPOSITORY, name)
    if on is On.EMULATOR:  # its one tenant stands for whichever the file names
        settings = settings.model_copy(update={"tenant_id": tokens.TENANT_ID})
    else:
        placeholders.refuse(paths.REPOSITORY, f"Pulumi.{name}.yaml")
    whole = parties.federation(settings)
    asked = arm.resource_manager(on)
    found = [
        one
        for party in whole.parties
        for one in preflight.missing(whole, party, preflight.ask(asked, settings, party))
    ]
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    else:
        for number, one in enumerate(found, start=1):
            print(f"{number}. {problem.words(f'{one.where} lacks {one.what}', why=one.why, fix=one.fix)}\n")
        print(
            f"{len(found)} missing."
            if found
            else f"Nothing is missing in {len(whole.parties)} subscriptions."
        )
    if found:
        raise typer.Exit(Code.NO)
