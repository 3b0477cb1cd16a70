"""How a running federation is doing: containers, enrolment, last reports, the last job.

The centre's container server is asked; it knows a hospital by its reports alone. Where there is none, the VM
itself is asked how far it is (`boot`). On the emulator the datacentre says more: each container, also of a VM
that has not come far enough to report.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from automation.operate import boot, machines
from automation.operate import centre as centres
from automation.operate.machines import vm_name
from automation.stacks.arm import Arm
from automation.stacks.target import Target
from automation.ui.outcome import FedError
from emulator.datacentre.control import Datacentre
from federation.outputs import Outputs
from federation.parties import CENTRE

Health = Mapping[str, Any]
"""``{containers: {party: {container: words}}, hospitals: {name: {enrolment, state, registered, client?,
reason?, trouble?, jobs_fault?, jobs_wait?: {jobs, since}, reported?, ends?, waits?: {what, since},
refused?, images?: {state, reason}}}, registered, last_job?, images?, troubles: [{what, owner, reason}],
certificates: {server?, lead?, root?}, rotation, notices: [{code, about, text, since}]}``.

`reported`, `since`, `ends` (of the certificate) and `certificates` (their ends) are Unix times; `rotation`
says what is under way, `images` why a party does not run those that the stack names. `jobs_wait` are jobs
that wait for the hospital's officers, `jobs_fault` is what is wrong with their file. `waits` is what waits
for a person,
`refused` why its last request was; `trouble` is what the centre meets in a hospital's container, `troubles`
elsewhere.
"""

DAY = 86_400.0
WARN_DAYS = 29.0
"""A hospital renews 30 days ahead: with fewer days left something holds that up."""
SILENT_SECONDS = 300.0
"""A hospital reports once a minute: after as long without one its VM is asked."""
_MUTE = "no report, and a VM with egress: none cannot be asked: its serial log in Azure says how far it is"
_BOX = ("fl-box", "fl-score")
"""Names that begin so: they run while a job runs or a model predicts, and no longer."""
_SOUND = ("running", "running, healthy", "running, starting")


def read(target: Target, outputs: Outputs[str]) -> Health:
    """Ask the centre. Raises FedError, QuestionError or RefusedError when it does not answer."""
    arm = target.arm()
    answer = _ask(arm, target, outputs)
    hospitals: Mapping[str, Any] = answer["hospitals"]
    silent = [
        name
        for name, row in hospitals.items()
        if name in outputs.hospitals and time.time() - row.get("reported", 0) > SILENT_SECONDS
    ]
    mute = machines.without_way_out(target.name) & set(silent)
    asked = boot.troubles(arm, outputs, [name for name in silent if name not in mute])
    for name, trouble in {**dict.fromkeys(mute, _MUTE), **asked}.items():
        hospitals[name]["reason"] = trouble
    told = of_answer(answer)
    return {**told, "containers": told["containers"] | _of_datacentre(target, outputs)}


def of_answer(answer: Mapping[str, Any]) -> Health:
    """Return what the centre alone says."""
    containers = {CENTRE: answer["containers"]}
    hospitals = answer["hospitals"]
    containers |= {name: {"fl-client": row.get("client", "unknown")} for name, row in hospitals.items()}
    return {
        "containers": containers,
        "hospitals": hospitals,
        "registered": answer["registered"],
        "last_job": answer["last_job"],
        "troubles": answer.get("troubles", []),
        "certificates": answer.get("certificates", {}),
        "images": answer.get("images"),
        "rotation": answer.get("rotation", ""),
        "notices": answer.get("notices", []),
    }


def _ask(arm: Arm, target: Target, outputs: Outputs[str]) -> dict[str, Any]:
    centre = centres.of(target, outputs).centre
    try:
        return centre.status()
    except FedError as mute:
        if CENTRE in machines.without_way_out(target.name):
            raise
        trouble = boot.troubles(arm, outputs, [CENTRE])
        raise FedError("; ".join([str(mute), *trouble.values()])) from mute


def table(health: Health) -> Table:
    """Return a row for each party: its containers; of a hospital enrolment, state, last report and why."""
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("party", "containers", "enrolment", "state", "last report"):
        result.add_column(heading, overflow="fold")
    now = time.time()
    for party, containers in health["containers"].items():
        row = health["hospitals"].get(party)
        state = _state(row) if row else _of_centre(health)
        result.add_row(
            party,
            Text("\n").join(_container(name, words) for name, words in containers.items()),
            _enrolment(party, row, now) if row else _certificates(health, now),
            state,
            _ago(now - row["reported"]) if row and "reported" in row else "",
        )
    return result


def waits_for_you(health: Health) -> list[Text]:
    """Return a line for each thing that somebody is to see to, as the centre also logs it for alerts."""
    return [
        Text(f"waits for you: {one['text']} ({one['code']}, since {_date(one['since'])})", style="red")
        for one in health.get("notices", [])
    ]


def images(health: Health) -> list[Text]:
    """Return a line for each party that does not run the images that the stack names for it."""
    said = {CENTRE: health.get("images")}
    said |= {name: row.get("images") for name, row in health["hospitals"].items()}
    return [
        Text(f"images of {party}: {one['reason']}", style="red" if one["state"] == "back" else "yellow")
        for party, one in said.items()
        if one
    ]


def last_job(health: Health) -> Text:
    """Return a line on the job that was submitted last."""
    job = health["last_job"]
    if not job:
        return Text("no job yet: ./fed train", style="dim")
    rounds = f", round {job['round']} of {job['rounds']}" if job.get("rounds") else ""
    reason = f": {job['reason']}" if job.get("reason") else ""
    style = "red" if job["state"] == "failed" else ""
    return Text.assemble(
        "last job: ", job["job"], f" {job['id'][:8]} ", (job["state"], style), rounds, reason
    )


def _of_datacentre(target: Target, outputs: Outputs[str]) -> dict[str, dict[str, str]]:
    datacentre = Datacentre.running(target.emulator) if target.emulator else None
    if datacentre is None:
        return {}
    running = datacentre.status()["machines"]
    names = {party: vm_name(outputs, party) for party in outputs.parties}
    return {
        party: {
            one["name"]: _words(one)
            for one in running[name]["containers"]
            if not one["name"].startswith(_BOX)
        }
        for party, name in names.items()
        if name in running
    }


def _words(container: Mapping[str, Any]) -> str:
    details = (container["health"], container["error"])
    return ", ".join([container["status"], *(str(detail) for detail in details if detail)])


def _container(name: str, words: str) -> Text:
    return Text.assemble(f"{name}: ", (words, "" if words in _SOUND else "red"))


def _enrolment(party: str, row: Mapping[str, Any], now: float) -> Text:
    """Return what the hospital is to the centre, the days left of its certificate, and what waits."""
    certificate = _certificate("\ncertificate", row["ends"], now) if "ends" in row else Text()
    waits = f"\n{_waits(party, row)}" if "waits" in row else ""
    refused = f"\nits last request was refused: {row['refused']}" if "refused" in row else ""
    return Text.assemble(row["enrolment"], certificate, (waits, "red"), (refused, "red"))


def _certificates(health: Health, now: float) -> Text:
    """Return the days left of the centre's own certificates."""
    ends = health.get("certificates", {})
    return Text("\n").join(_certificate(f"{what}'s certificate", ends[what], now) for what in ends)


def _certificate(what: str, ends: float, now: float) -> Text:
    days = (ends - now) / DAY
    return Text(f"{what}: {_days(days)}", style="" if days >= WARN_DAYS else "red")


def _days(days: float) -> str:
    return f"{days:.0f} days left" if days > 0 else f"ended {-days:.0f} days ago"


def _waits(party: str, row: Mapping[str, Any]) -> str:
    """Return what waits for a person, since when, what happens when nobody comes, and the command."""
    waits = row["waits"]
    stops = (
        f"; the client stops on {_date(row['ends'])}" if row["state"] == "running" and "ends" in row else ""
    )
    return (
        f"{waits['what']} waits for a person since {_date(waits['since'])}{stops}. "
        f"Fix: ./fed hospital approve {party}"
    )


def _date(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d}"


def _of_centre(health: Health) -> Text:
    registered = f"{health['registered']} of {len(health['hospitals'])} registered"
    troubles = [
        f"\n{' '.join(filter(None, (one['what'], one['owner'])))}: {one['reason']}"
        for one in health["troubles"]
    ]
    rotation = f"\nrotation: {health['rotation']}" if health.get("rotation") else ""
    return Text.assemble(registered, rotation, *((trouble, "red") for trouble in troubles))


def _state(row: Mapping[str, Any]) -> Text:
    registered = "registered" if row["registered"] else "not registered"
    sound = row["registered"] and row["state"] == "running"
    words = "\n".join([f"{row['state']}, {registered}", *([row["reason"]] if "reason" in row else [])])
    trouble = f"\nits container: {row['trouble']}" if "trouble" in row else ""
    fault = f"\n{row['jobs_fault']}" if "jobs_fault" in row else ""
    waits = f"\n{_jobs_wait(row['jobs_wait'])}" if "jobs_wait" in row else ""
    return Text.assemble((words, "" if sound else "red"), (trouble, "red"), (fault, "red"), waits)


def _jobs_wait(waits: Mapping[str, Any]) -> str:
    number = f"{waits['jobs']} jobs wait" if waits["jobs"] > 1 else "a job waits"
    return f"{number} for its officers since {_date(waits['since'])}"


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
