"""Which images a stack pins, and that prod pins exactly what mvp does: prod runs what ran in mvp."""

from collections.abc import Mapping

from automation.hospitals.stack_file import StackFile
from automation.ui.outcome import RefusedError
from clone import paths
from federation.stack_file import stack_file

BEFORE = {"mvp": "dev", "prod": "mvp"}
"""Stack -> the stack that its images come from."""


def pinned(stack: str) -> dict[str, str]:
    """Return the digests that the file of a stack pins, by image."""
    return StackFile(stack_file(paths.REPOSITORY, stack)).digests()


def require_tried(digests: Mapping[str, str]) -> None:
    """Refuse digests for prod that mvp does not pin. Raises RefusedError with what differs."""
    tried = pinned("mvp")
    fix = "`./fed images promote prod --from mvp` brings the same digests."
    if not digests:
        raise RefusedError(f"prod pins no image, so what it would run never ran in mvp. {fix}")
    different = sorted(name for name in {*digests, *tried} if digests.get(name) != tried.get(name))
    if different:
        raise RefusedError(
            f"prod would run other images than mvp ({', '.join(different)}): what never ran in mvp would run "
            f"in prod. {fix}"
        )
