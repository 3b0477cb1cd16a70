"""How far a VM has come with its boot, asked of the VM itself: for a party whose containers say nothing.

Azure knows the power and the agent of a VM (its instance view), and nothing of what cloud-init did, nor of
whether the images' registry has a private name in the VM's network: where an organisation has zones of its
own, it links them when the networks are there (docs/adr/0017), and until then the VM waits.
"""

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from automation.operate import machines
from automation.stacks.arm import Arm
from automation.ui.outcome import FedError
from federation.outputs import Outputs
from policies.addresses import is_internal

_AT_ONCE = 8
_SCRIPT = """\
if docker ps > /dev/null 2>&1; then
  getent ahostsv4 "$1" | cut -d ' ' -f 1 | head -n 1
  exit 0
fi
cloud-init status 2> /dev/null | head -n 1
journalctl --quiet --no-pager --output=cat --lines=2 -u fed-docker -u fed-data-disk 2> /dev/null
false
"""


def troubles(arm: Arm, outputs: Outputs[str], parties: list[str]) -> dict[str, str]:
    """Return why no container of a party can run, for those where Docker does not or finds no images; a run
    command each.

    A VM that cannot be asked is in trouble, too.
    """
    registry = login_server(outputs)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = pool.map(lambda party: _trouble(arm, machines.of(outputs, party), registry), parties)
    return {party: words for party, words in zip(parties, said, strict=True) if words}


def login_server(outputs: Outputs[str]) -> str:
    """Return the name of the centre's registry."""
    return f"{outputs.centre.registry.rpartition('/')[2]}.azurecr.io"


def is_private(address: str) -> bool:
    """Whether a name that led to this (nothing: it led nowhere) is answered by a private zone."""
    return bool(address) and is_internal(IPv4Address(address))


def unnamed(registry: str, address: str) -> str:
    """Say that a VM waits for a name that led it to this public address, or nowhere."""
    return (
        f"its VM finds {registry} at {address or 'no address'}: no private DNS zone that is linked to its "
        "network names it"
    )


def _trouble(arm: Arm, machine: str, registry: str) -> str:
    try:
        ran = machines.run(arm, machine, ["sh", "-c", _SCRIPT, "sh", registry])
    except FedError as mute:
        return f"its VM cannot be asked how far it is: {mute}"
    if ran.code == 0:
        address = ran.stdout.strip()
        return "" if is_private(address) else unnamed(registry, address)
    boot, *log = ran.stdout.strip().splitlines() or ["status: unknown"]
    return "; ".join([f"Docker does not run on its VM (cloud-init {boot})", *log])
