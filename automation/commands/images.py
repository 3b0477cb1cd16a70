"""`fed images`: which images a stack runs, by digest, and how the next stack gets the same."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from automation.ui.options import Json, On, Where

PANEL = "Deliver"
app = typer.Typer(help="List, build, try and promote images, by digest.", invoke_without_command=True)


class Engine(StrEnum):
    """What runs containers."""

    DOCKER = "docker"


class Role(StrEnum):
    """Whose VM."""

    CENTRE = "centre"
    HOSPITAL = "hospital"


Stack = Annotated[str, typer.Argument(metavar="STACK", help="dev, mvp or prod.")]
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
    from rich.table import Table  # noqa: PLC0415

    from automation.delivery import real_engine  # noqa: PLC0415
    from automation.ui.console import show  # noqa: PLC0415

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("container", "image", "size", "result"):
        table.add_column(heading, overflow="fold")
    for tried in real_engine.run(role.value):
        table.add_row(tried.name, f"local/{tried.name}", f"{tried.size / 1e6:.0f} MB", tried.result)
    show(table)


@app.command("list")
def list_images(stack: Stack, on: Where = On.EMULATOR, as_json: Json = False) -> None:
    """Show which images a stack runs: built by its last deployment, or pinned in its file."""
    from automation.delivery import promotion  # noqa: PLC0415
    from automation.stacks.target import open_target  # noqa: PLC0415

    target = open_target(stack, on)
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
    stack: Stack,
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
    from automation.delivery import images as digests_of  # noqa: PLC0415
    from automation.delivery import pins, promotion  # noqa: PLC0415
    from automation.stacks.where import resource_manager  # noqa: PLC0415
    from automation.ui.outcome import QuestionError  # noqa: PLC0415

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
        promotion.bring(stack, digests, on, resource_manager(on), print)
    if file is not None:
        file.save()
        print(f"Pinned in {file.path.name}: commit it on a branch feature-<what>.")


@app.command()
def release(images: Listed, on: Where = On.AZURE) -> None:
    """Keep images in the registry of released images, from which mvp and prod import."""
    from automation.delivery import images as digests_of  # noqa: PLC0415
    from automation.delivery import promotion  # noqa: PLC0415
    from automation.stacks.where import resource_manager  # noqa: PLC0415

    found = digests_of.read(images)
    promotion.copy(found.images, found.registry, promotion.released(), resource_manager(on), print)


@app.command()
def save(
    images: Listed,
    into: Annotated[Path, typer.Option("--into", help="The folder for one .tar an image.")],
) -> None:
    """Pull images by digest into files, for a scanner that must hold no credential."""
    from automation.delivery import images as digests_of  # noqa: PLC0415
    from automation.delivery import promotion  # noqa: PLC0415

    promotion.save(digests_of.read(images), into)


@app.command()
def build(name: Annotated[str, typer.Argument(metavar="NAME", help="fl-server, fl-client, ...")]) -> None:
    """Build one image of this working tree with Docker, as local/NAME."""
    from automation.delivery import promotion  # noqa: PLC0415

    promotion.build(name)
