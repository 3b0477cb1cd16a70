"""Between a role and its first use: Azure needs minutes until an assignment has an effect everywhere.

Nobody is told when, and nobody can ask on behalf of somebody else's identity. So the first use is the
question: it is tried again while Azure refuses it for want of the role, and only then. Where Azure takes the
first use and fails it later, the service that will use the role is asked before. A resource that has been
made once never waits again, and a preview waits for nothing (docs/adr/0012).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pulumi

#: What Azure answers to a resource whose identity may not use its key, or not yet.
NOT_YET: Final = re.compile(
    "KeyVaultAuthenticationFailure"  # accounts: https://github.com/pulumi/pulumi/issues/16893
    "|KeyVaultAccessForbidden"  # disks: https://github.com/hashicorp/terraform-provider-azurerm/issues/9177
)
#: Azure says up to ten minutes:
#: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
MINUTES: Final = 15
_FIRST_PAUSES: Final = (2, 4, 8, 16)
_PAUSE: Final = 30


def pause_after(refusals: int) -> int | None:
    """Seconds until the next try after so many refusals, None when `MINUTES` have been spent."""
    if sum(_pause(index) for index in range(refusals)) > MINUTES * 60:
        return None
    return _pause(refusals - 1)


def _pause(index: int) -> int:
    return _FIRST_PAUSES[index] if index < len(_FIRST_PAUSES) else _PAUSE


def patient(name: str) -> pulumi.ResourceHookBinding:
    """Return what the first user of a role is made with; `name` is the hook's, unique in the program."""
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(name, _try_again)])


def asked_first(
    name: str, ask: Callable[[Mapping[str, Any]], Awaitable[str | None]]
) -> pulumi.ResourceHookBinding:
    """Return what is made once `ask`, given its inputs, has no objection left; `name` is the hook's.

    Raises TimeoutError in the hook, which ends the creation, when `MINUTES` have been spent.
    """

    async def wait(made: pulumi.ResourceHookArgs) -> None:
        refusals = 0
        while objection := await ask(made.new_inputs or {}):
            refusals += 1
            seconds = pause_after(refusals)
            if seconds is None:
                raise TimeoutError(
                    f"{made.name} was not made: after {MINUTES} minutes Azure still says {objection}. Fix: "
                    "see that the roles are there, then deploy again"
                )
            _say_so(made.name, objection, seconds)
            await asyncio.sleep(seconds)

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(name, wait)])


def _say_so(name: str, objection: str, seconds: int) -> None:
    pulumi.log.info(
        f"{name}: Azure says {objection}, as it does for minutes after a role was given; asking again in "
        f"{seconds} s, for at most {MINUTES} minutes"
    )


async def _try_again(failed: pulumi.ErrorHookArgs) -> bool:
    """Whether the engine shall try once more, after a pause.

    A resource that Azure made and then failed is not tried again: it exists, so the provider would refuse to
    create it; the next `up` updates it.
    """
    refused = NOT_YET.search(failed.errors[0])
    seconds = pause_after(len(failed.errors))
    if refused is None or _was_made(failed.errors[0]) or seconds is None:
        return False
    _say_so(failed.name, refused[0], seconds)
    await asyncio.sleep(seconds)
    return True


def _was_made(error: str) -> bool:
    """Whether a provider made the resource and could not finish it: the engine lists its reasons then."""
    return re.match(r"\d+ errors? occurred:", error) is not None
