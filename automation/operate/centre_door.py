"""The centre's containers for researchers, as whoever asks sees them: `inbox` and `results`."""

from azure import identity

from automation.operate import centre_blobs, emulated, people
from automation.operate.centre_blobs import Blobs
from automation.stacks import deploy
from automation.stacks.target import open_deployed
from automation.ui.options import On
from automation.ui.outcome import QuestionError


def container(stack: str, on: On, account: str | None, name: str) -> Blobs:
    """Return a container of the centre's, on Azure as whoever is signed in (az login).

    Without `account` its name is read from the stack's state. Raises QuestionError for an account on the
    emulator, RefusedError where nothing is deployed.
    """
    if on is On.AZURE:
        return people.PeoplesContainer(
            account=account or _account(stack), name=name, credential=identity.DefaultAzureCredential()
        )
    if account:
        raise QuestionError("--account goes with --on azure: the emulator knows its centre's account")
    target = open_deployed(stack, on)
    return centre_blobs.EmulatedBlobs(
        datacentre=emulated.running_datacentre(target), outputs=deploy.outputs(target), container=name
    )


def _account(stack: str) -> str:
    outputs = deploy.outputs(open_deployed(stack, On.AZURE))
    return outputs.centre.storage_account.rpartition("/")[2]
