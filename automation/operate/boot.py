"""How far a VM has come with its boot, asked of the VM itself: for a party whose containers say nothing.

Azure knows the power and the agent of a VM (its instance view), and nothing of what cloud-init did.
"""

from concurrent.futures import ThreadPoolExecutor

from automation.operate import machines
from automation.stacks.arm import Arm
from automation.ui.outcome import FedError
from federation.outputs import Outputs

_AT_ONCE = 8
_SCRIPT = """\
docker ps > /dev/null 2>&1 && exit
cloud-init status 2> /dev/null | head -n 1
journalctl --quiet --no-pager --output=cat --lines=2 -u fed-docker -u fed-data-disk 2> /dev/null
false
"""


def troubles(arm: Arm, outputs: Outputs[str], parties: list[str]) -> dict[str, str]:
    """Return why no container of a party can run, for those where Docker does not; a run command each.

    A VM that cannot be asked is in trouble, too.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = pool.map(lambda party: _trouble(arm, machines.of(outputs, party)), parties)
    return {party: words for party, words in zip(parties, said, strict=True) if words}


def _trouble(arm: Arm, machine: str) -> str:
    try:
        ran = machines.run(arm, machine, ["sh", "-c", _SCRIPT])
    except FedError as mute:
        return f"its VM cannot be asked how far it is: {mute}"
    if ran.code == 0:
        return ""
    boot, *log = ran.stdout.strip().splitlines() or ["status: unknown"]
    return "; ".join([f"Docker does not run on its VM (cloud-init {boot})", *log])
