"""`fed images`: which images a stack runs, by digest, and how the next stack gets the same."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, NamedStack, On, Stack, StackOption, Where, named_stack, stack_name
from automation.ui.outcome import QuestionError

with lazily():
    from automation.delivery import images as digests_of
    from automation.delivery import pins, promotion, real_engine
    from automation.stacks import arm
    from automation.stacks import target as targets
    from automation.ui import console

PANEL = "Deliver"
app = typer.Typer(help="List, build, try and promote images, by digest.", invoke_without_command=True)


class Engine(StrEnum):
    """What runs containers."""

    DOCKER = "docker"


class Role(StrEnum):
    """Whose VM."""

    CENTRE = "centre"
    HOSPITAL = "hospital"


Listed = Annotated[Path, typer.Argument(metavar="FILE", help="What `fed images list STACK --json` wrote.")]


@app.callback()
def try_images(
    context: typer.Context,
    engine: Annotated[
        Engine | None,
        typer.Option("--engine", help="Build the images and run a VM's compose file, with a real engine."),
    ] = None,
    role: Annotated[Role, typer.Option("--role", help="Whose VM, for --engine.")] = Role.CENTRE,
) -> None:
    """List, build, try and promote images, by digest."""
    if context.invoked_subcommand is not None:
        return
    if engine is None:
        print(context.get_help())
        return
    table = console.table("container", "image", "size", "result")
    for tried in real_engine.run(role.value):
        table.add_row(tried.name, f"local/{tried.name}", f"{tried.size / 1e6:.0f} MB", tried.result)
    console.show(table)


@app.command("list")
def list_images(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Show which images a stack runs: built by its last deployment, or pinned in its file."""
    stack = stack_name(stack, stack_option)
    target = targets.open_target(stack, on)
    known = target.existing_stack()
    exported = known.export_stack().deployment if known else None
    found = promotion.images_of(stack, target.arm(), exported or {})
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    for name in sorted(found.images):
        print(found.reference(name))


@app.command()
def promote(
    stack: NamedStack = None,
    stack_option: StackOption = None,
    *,
    images: Annotated[
        Path | None, typer.Option("--images", help="Pin the digests of this file (`fed images list --json`).")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--from", metavar="STACK", help="Pin the digests that this stack pins.")
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="Import what the stack file pins already; write nothing.")
    ] = False,
    pin_only: Annotated[
        bool, typer.Option("--pin-only", help="Only write the stack file; its deployment will import.")
    ] = False,
    on: Where = On.EMULATOR,
) -> None:
    """Import images by digest into a stack's closed registry, and pin them in its file.

    Say which: --images FILE, --from STACK, or --pinned. What is already there is not imported again.
    """
    stack = named_stack(stack, stack_option)
    if sum((images is not None, before is not None, pinned)) != 1:
        raise QuestionError("say which digests: one of --images FILE, --from STACK and --pinned")
    if pinned and pin_only:
        raise QuestionError("--pinned writes nothing and --pin-only does nothing else: leave one out")
    if pinned:
        digests = pins.pinned(stack)
        if not digests:
            print(f"{stack} builds its images itself: nothing to import.")
            return
    elif images is not None:
        digests = dict(digests_of.read(images).images)
    else:
        digests = pins.pinned(str(before))
    file = None if pinned else promotion.pin(stack, digests)
    if not pin_only:
        promotion.bring(stack, digests, on, arm.resource_manager(on))
    if file is not None:
        file.save()
        print(f"Pinned in {file.path.name}: commit it on a branch feature-<what>.")


@app.command()
def release(images: Listed, on: Where = On.AZURE) -> None:
    """Keep images in the registry of released images, from which mvp and prod import."""
    found = digests_of.read(images)
    promotion.copy(found.images, found.registry, promotion.released(), arm.resource_manager(on))


@app.command()
def save(
    images: Listed,
    into: Annotated[Path, typer.Option("--into", help="The folder for one .tar an image.")],
) -> None:
    """Pull images by digest into files, for a scanner that must hold no credential."""
    promotion.save(digests_of.read(images), into)


@app.command()
def build(name: Annotated[str, typer.Argument(metavar="NAME", help="fl-server, fl-client, ...")]) -> None:
    """Build one image of this working tree with Docker, as local/NAME."""
    promotion.build(name)
