"""How often the emulated Resource Manager answers as Azure did in recorded traffic.

    python -m benchmarks.recordings FOLDER [--show]

FOLDER holds one JSON file a scenario, of Microsoft's own recorded tests (azure-service-operator, azure-cli):
``{"steps": [{"method", "path", "query", "request", "status", "response", "poll"}]}``. Each is sent to a
control plane of its own, in its order and in the api-version that it had, with Azure's durations and a clock
that jumps after each request. Compared are whether both accept, the status, and the error's code.

Recordings begin in the middle of a life. A group that a step needs is made first. A step that names a
resource which nothing before it made is left out and counted with its reason: no emulator can know that
resource. Azure chooses some names (identities, connections); later requests get ours in their place.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.arm import ids
from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from emulator.arm.messages import Request, Response
from emulator.arm.tokens import TENANT_ID
from emulator.arm.types import CATALOGUE

Step = dict[str, Any]

BEGIN, JUMP = 1_764_000_000.0, 10_000.0
"""When a replay begins (seconds since 1970), and the seconds between two requests."""
OUTSIDE = "of a type outside the catalogue"
BEFORE = "names what no request of the recording made"
CHOSEN = {"principalId", "clientId", "name"}
"""Members whose value Azure may choose, and later requests name."""
A_RESOURCE = re.compile(r"/subscriptions/.*/providers/", re.IGNORECASE)
NOBODYS = re.compile(
    r"/providers/Microsoft\.(Authorization/roleDefinitions|Compute/locations)/", re.IGNORECASE
)
"""Ids of what is there without anybody's making it: built-in roles, images and sizes."""
DELETED_VAULT = re.compile(
    r"/providers/Microsoft\.KeyVault/locations/[^/]+/deletedVaults/([^/]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One request and both answers."""

    scenario: str
    request: str
    azure: tuple[int, str | None]
    ours: tuple[int, str | None]

    @property
    def same_verdict(self) -> bool:
        """Whether both accept or both refuse."""
        return (self.azure[0] < 400) == (self.ours[0] < 400)

    @property
    def same_answer(self) -> bool:
        """Whether status and error code are the same."""
        return self.azure == self.ours


@dataclass(slots=True)
class Result:
    """What a replay showed: the steps that were compared, and how many were left out for which reason."""

    compared: list[Compared] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def share(self, member: str) -> float:
        """Return the percentage of compared steps that have `same_verdict` or `same_answer`."""
        same = sum(1 for each in self.compared if getattr(each, member))
        return 100 * same / max(1, len(self.compared))


class Replay:
    """One scenario and the control plane that it is sent to."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._now = name, BEGIN
        latency = Latency(1.0)
        self._plane = ControlPlane(
            folder / "store.sqlite", b"k" * 32, latency=latency, clock=lambda: self._now
        )
        token, _ = self._plane.issue_token()
        self._headers = {"authorization": f"Bearer {token}", "host": "management.azure.com"}
        self._made: set[str] = set()
        self._never_made: set[str] = set()
        self._ours: dict[str, str] = {}

    def run(self, steps: list[Step], result: Result) -> None:
        """Send every step that can be sent, and write down how it was answered."""
        gone: set[str] = set()
        for step in steps:
            path = self._translated(step["path"])
            group = (ids.group_id(path) or "").lower()
            if step.get("poll") or not path.lower().startswith("/subscriptions/") or group in gone:
                continue  # operations have ids of their own; a group that is going answers either way
            body = self._body(step)
            if group and group not in self._made and not (step["method"] == "PUT" and path.lower() == group):
                self._make(group, body)
            key = path.lower().rstrip("/")
            makes = step["method"] == "PUT" and step["status"] < 300
            why = self._why_not(step, path, body)
            if why:
                result.left_out[why] += 1
                self._never_made |= {key} if makes else set()
                continue
            answer = self._send(step["method"], path, dict(step.get("query") or {}), body)
            self._learn(step.get("response"), answer.body)
            result.compared.append(
                Compared(
                    self._name,
                    f"{step['method']} {path}",
                    (step["status"], code_of(step["status"], step.get("response"))),
                    (answer.status, code_of(answer.status, answer.body)),
                )
            )
            self._made |= {key} if makes else set()
            if step["method"] == "DELETE" and step["status"] < 300 and key == group:
                gone.add(group)
        self._plane.close()

    def _send(self, method: str, path: str, query: dict[str, str], body: Any) -> Response:
        self._now += JUMP
        return self._plane.handle(
            Request(method=method, path=path, query=query, headers=self._headers, body=body)
        )

    def _make(self, group: str, body: Any) -> None:
        """Make the group that a recording presumes, in the region of the first resource."""
        place = (body.get("location") if isinstance(body, dict) else None) or "westus"
        region = {"location": "westus" if place == "global" else place}
        self._send("PUT", group, {"api-version": "2021-04-01"}, region)
        self._made.add(group)

    def _body(self, step: Step) -> Any:
        """Return the recorded body with our identities in the place of Azure's; None where there was none."""
        sent = step.get("request")
        text = json.dumps(sent) if sent is not None else ""
        if isinstance(sent, str):  # azure-cli's recordings have the text of Python's bytes
            text = ast.literal_eval(sent).decode() if sent[:2] in {"b'", 'b"'} else sent
        text = self._translated(text)
        if "keyvault" in step["path"].lower():
            text = re.sub(r'("tenantId"\s*:\s*")[^"]*', rf"\g<1>{TENANT_ID}", text)
        return json.loads(text) if text else None

    def _translated(self, text: str) -> str:
        """Return a text with our names in the place of those that Azure chose."""
        for theirs, ours in self._ours.items():
            text = text.replace(theirs, ours)
        return text

    def _learn(self, azure: Any, ours: Any) -> None:
        """Remember what of ours stands for what Azure chose: identities, and names of connections."""
        if isinstance(azure, list) and isinstance(ours, list) and len(azure) == len(ours):
            for theirs, mine in zip(azure, ours, strict=True):
                self._learn(theirs, mine)
        elif isinstance(azure, dict) and isinstance(ours, dict):
            for name, value in azure.items():
                mine = ours.get(name)
                if name not in CHOSEN:
                    self._learn(value, mine)
                elif isinstance(value, str) and isinstance(mine, str) and value != mine:
                    self._ours[value] = mine

    def _why_not(self, step: Step, path: str, body: Any) -> str | None:
        """Say why a step cannot be compared; None where it can."""
        parsed = ids.parse(path)
        if parsed is None or not _is_emulated(parsed):
            return OUTSIDE
        if step["status"] == 404:  # Azure did not find it either
            return None
        needed = [parsed.parent]
        if step["method"] != "PUT" and not parsed.is_collection:
            needed.append(path)
        if step["status"] < 300:
            needed += [each for each in _named(body) if not each.lower().startswith(path.lower())]
        return None if all(self._is_there(each) for each in needed) else BEFORE

    def _is_there(self, named: str) -> bool:
        """Tell whether it, or the resource that it is a part of, was made by a request of this replay."""
        key = named.lower().rstrip("/")
        if key.count("/") <= 2 or NOBODYS.search(key):
            return True
        if deleted := DELETED_VAULT.search(key):
            return any(each.endswith(f"/vaults/{deleted[1]}") for each in self._made)
        parsed = ids.parse(key)
        if not {key, *_above(key)}.isdisjoint(self._never_made):
            return False
        if parsed is None or not parsed.names:
            return key in self._made
        whole = f"{parsed.scope}/providers/{parsed.namespace}/{parsed.types[0]}/{parsed.names[0]}"
        return not {key, whole.lower()}.isdisjoint(self._made)


def _is_emulated(parsed: ids.ResourceId) -> bool:
    """Tell whether the catalogue has the type, or for an action the type that it is one of."""
    above = ids.parse(parsed.parent) if parsed.is_collection else None
    return bool(CATALOGUE.find(parsed.type) or (above and CATALOGUE.find(above.type)))


def _above(key: str) -> Iterator[str]:
    """Yield the ids that a resource is below, the nearest first."""
    while (parsed := ids.parse(key)) and parsed.parent.count("/") > 2:
        key = parsed.parent
        yield key


def _named(body: Any) -> Iterator[str]:
    """Yield each id of a resource in a body."""
    if isinstance(body, dict | list):
        for inner in body.values() if isinstance(body, dict) else body:
            yield from _named(inner)
    elif isinstance(body, str) and A_RESOURCE.match(body):
        yield body


def code_of(status: int, body: Any) -> str | None:
    """Return the code of a refusal; None for what was accepted."""
    if status < 400 or not isinstance(body, dict):
        return None
    error = body.get("error", body)
    return (error.get("code") or error.get("Code")) if isinstance(error, dict) else None


def replay(folder: Path) -> Result:
    """Send each scenario of a folder (`*.json`, at its top) to a control plane of its own.

    Raises FileNotFoundError where there is none.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileNotFoundError(
            f"{folder} has no recordings. Fix: name the folder that holds their .json files"
        )
    result = Result()
    for file in files:
        with tempfile.TemporaryDirectory() as store:
            Replay(file.stem, Path(store)).run(json.loads(file.read_text())["steps"], result)
    return result


def main(arguments: list[str]) -> None:
    """Replay a folder and print how often the answers agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="print each request that was answered otherwise")
    chosen = parser.parse_args(arguments)
    result = replay(chosen.folder)
    for each in result.compared if chosen.show else ():
        if not each.same_answer:
            print(f"{each.scenario}: {each.request}\n  Azure {each.azure}, emulator {each.ours}")
    print(
        f"{len(result.compared)} requests compared: "
        f"both accept or both refuse {result.share('same_verdict'):.1f} %, "
        f"same status and code {result.share('same_answer'):.1f} %"
    )
    for why, count in result.left_out.most_common():
        print(f"{count} left out: {why}")


if __name__ == "__main__":
    main(sys.argv[1:])
