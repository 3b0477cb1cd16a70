"""Identity and names, tried from within the machines: what a party's own VM can really do and resolve.

A small program runs on each VM as an operator's commands do. It takes a token of the VM's identity, tries
every container (list, read, write, delete, with a blob of its own making), resolves every name, and prints
what happened, packed because Azure answers the last 4 KB only. Nothing that was there before is touched.
"""

import base64
import json
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from automation.operate.machines import Ran
from automation.verify.access import identity
from automation.verify.access.roles import DELETE, LIST, READ, WRITE
from automation.verify.check import Verification
from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Resource, VerifyError, key_of, reference
from federation.azure_facts import BLOB_ZONE, REGISTRY_ZONE

PROOF: Final = "inside"
ACTIONS: Final = (LIST, READ, WRITE, DELETE)
_MARK: Final = "fed-verify:"


Run = Callable[[str, list[str]], Ran]
"""Runs a command on a VM (an ARM id); raises FedError when the VM does not take it."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """One action tried by one machine: whether it is intended, and whether it succeeded."""

    viewer: str
    target: str
    action: str
    intended: bool
    measured: bool
    said: str

    @property
    def agrees(self) -> bool:
        """Whether what happened is what was intended."""
        return self.intended == self.measured


@dataclass(frozen=True, kw_only=True)
class Inside:
    """All that was tried from within, and what contradicts the intent."""

    access: tuple[Try, ...]
    names: tuple[Try, ...]
    findings: tuple[Finding, ...]


def look(verification: Verification, run: Run) -> Inside:
    """Try every container and every name from every machine that Azure's run command gets an answer from.

    A party without egress has none (https://learn.microsoft.com/azure/virtual-machines/linux/run-command).
    Raises VerifyError when a machine does not answer the check, FedError when it takes no commands.
    """
    answering = {party.name for party in verification.federation.parties if party.egress != "none"}
    machines = [
        machine
        for machine in verification.deployment.of("compute:VirtualMachine")
        if _party(verification, machine) in answering
    ]
    with ThreadPoolExecutor(len(machines) or 1) as pool:
        answers = list(pool.map(lambda machine: _ask(run, machine, verification), machines))
    access: list[Try] = []
    names: list[Try] = []
    for machine, answer in zip(machines, answers, strict=True):
        viewer = str(_party(verification, machine))
        access += _accesses(verification, viewer, answer)
        names += _resolutions(verification, viewer, answer)
    return Inside(
        access=tuple(access),
        names=tuple(names),
        findings=(*_findings(access, "access"), *_findings(names, "resolution")),
    )


def _ask(run: Run, machine: Resource, verification: Verification) -> Mapping[str, Any]:
    identities = machine.at("identity.userAssignedIdentities") or {}
    containers = [_url(t) for t in _containers(verification)]
    names = sorted({_public(a.name) for a in verification.names.answers})
    order = {
        "client": next((v.get("clientId") for v in identities.values() if isinstance(v, Mapping)), None),
        "blob": f"fed-verify-{uuid.uuid4()}",
        "containers": containers,
        "names": names,
    }
    given = base64.b64encode(json.dumps(order).encode()).decode()
    ran = run(machine.id, ["python3", "-c", _PROGRAM, given])
    packed = _unpacked(ran.stdout)
    if packed is None:
        raise VerifyError(
            f"{machine.name} did not run the check from within: {(ran.stderr or ran.stdout).strip()[-500:]}\n"
            "Nothing is proven about its identity. Without this proof: --no-inside"
        )
    return {
        "access": {
            url: dict(zip(ACTIONS, tried, strict=True))
            for url, tried in zip(containers, packed["access"], strict=True)
        },
        "names": dict(zip(names, packed["names"], strict=True)),
    }


def _unpacked(text: str) -> Any:
    """Return what the script printed, None when it did not come to that."""
    for line in text.splitlines():
        if line.startswith(_MARK):
            return json.loads(zlib.decompress(base64.b64decode(line.removeprefix(_MARK))))
    return None


def _accesses(verification: Verification, viewer: str, answer: Mapping[str, Any]) -> Iterator[Try]:
    cells = {(c.principal, c.target.id): c for c in verification.access.cells}
    for target in _containers(verification):
        cell = cells.get((f"{viewer}'s machine", target.id))
        for action in ACTIONS:
            status = answer["access"][_url(target)][action]
            yield Try(
                viewer=viewer,
                target=f"{target.resource} of {target.owner}",
                action=action,
                intended=cell is not None and action in cell.intended,
                measured=status in _SUCCESS[action],
                said=str(status),
            )


_SUCCESS: Final[Mapping[str, Sequence[int]]] = {
    LIST: (200,),
    READ: (200, 404),  # 404: allowed to read, and there is no such blob
    WRITE: (201,),
    DELETE: (202, 404),
}


def _resolutions(verification: Verification, viewer: str, answer: Mapping[str, Any]) -> Iterator[Try]:
    meant = {a.name: a.intended for a in verification.names.answers if a.viewer == viewer}
    shared = _of_organisation(verification)
    for name in sorted({a.name for a in verification.names.answers}):
        got = frozenset(answer["names"][_public(name)])
        intended = meant.get(name, frozenset())
        yield Try(
            viewer=viewer,
            target=_public(name),
            action=", ".join(sorted(intended)) or "nothing",
            intended=True,
            # Names of others resolve to nothing, or publicly where there is a way out; privately only in
            # the zones that all parties share, and rightly.
            measured=got == intended
            if intended
            else got == shared.get(name) or not any(_is_private(verification, a) for a in got),
            said=", ".join(sorted(got)) or "nothing",
        )


def _of_organisation(verification: Verification) -> Mapping[str, frozenset[str]]:
    """Return the meant addresses of the names in the organisation's zones, which every party can ask."""
    return {a.name: a.intended for a in verification.names.answers if a.kept_by == "organisation"}


def _is_private(verification: Verification, address: str) -> bool:
    return any(str(i.address) == address for i in verification.topology.interfaces)


def _findings(tries: Sequence[Try], rule: str) -> Iterator[Finding]:
    for one in (t for t in tries if not t.agrees):
        could = one.measured and rule == "access"
        yield Finding(
            kind=Kind.OPEN if could or rule == "resolution" else Kind.MISSING,
            proof=PROOF,
            rule=rule,
            what=f"{one.viewer}'s machine {'could' if could else 'could not'} {one.action} {one.target}"
            if rule == "access"
            else f"{one.viewer}'s machine resolves {one.target} to {one.said}, not to {one.action}",
            where=f"tried from within: the answer was {one.said}",
            why="this is no theory: it was tried",
            fix="see what the computed proofs say of it; ./fed up --refresh restores roles and zones",
        )


def _containers(verification: Verification) -> list[identity.Target]:
    return [t for t in verification.access.targets if t.resource != identity.REGISTRY]


def _url(target: identity.Target) -> str:
    return f"https://{target.account}.blob.core.windows.net/{target.resource}"


def _public(name: str) -> str:
    """Return the name that programs use for a private one."""
    for zone in (BLOB_ZONE, REGISTRY_ZONE):
        if name.endswith(zone):
            return name.removesuffix(zone) + zone.removeprefix("privatelink.")
    return name


def _party(verification: Verification, machine: Resource) -> str | None:
    keys = {key_of(reference(n) or "") for n in machine.each("networkProfile.networkInterfaces")}
    return next((i.party for i in verification.topology.interfaces if key_of(i.id) in keys), None)


_PROGRAM: Final = r"""
import base64, concurrent.futures, json, socket, sys, urllib.error, urllib.request, zlib
order = json.loads(base64.b64decode(sys.argv[1]))
VERSION = {"x-ms-version": "2021-08-06"}

def send(method, url, headers, data=None):
    request = urllib.request.Request(url, method=method, headers=headers, data=data)
    try:
        return urllib.request.urlopen(request, timeout=5).status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError as unreachable:
        return str(unreachable)

def token():
    url = ("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
           "&resource=https://storage.azure.com/")
    if order["client"]:
        url += "&client_id=" + order["client"]
    request = urllib.request.Request(url, headers={"Metadata": "true"})
    return json.load(urllib.request.urlopen(request, timeout=10))["access_token"]

def resolve(name):
    try:
        return sorted({found[4][0] for found in socket.getaddrinfo(name, 443, socket.AF_INET)})
    except OSError:
        return []

headers = {"Authorization": "Bearer " + token(), **VERSION}

def attempt(url):
    blob = url + "/" + order["blob"]
    listed = send("GET", url + "?restype=container&comp=list&maxresults=1", headers)
    written = send("PUT", blob, {**headers, "x-ms-blob-type": "BlockBlob"}, b"fed verify")
    return [listed, send("GET", blob, headers), written, send("DELETE", blob, headers)]

with concurrent.futures.ThreadPoolExecutor(16) as pool:
    access = list(pool.map(attempt, order["containers"]))
    names = list(pool.map(resolve, order["names"]))
answer = {"access": access, "names": names}
print("fed-verify:" + base64.b64encode(zlib.compress(json.dumps(answer).encode())).decode())
"""
