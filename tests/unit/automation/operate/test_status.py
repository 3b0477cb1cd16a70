"""What `fed status` says of a deployment, read from a Resource Manager that answers from a table."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType

from automation.operate import backup, health, machines, status
from automation.operate.machines import Centre
from automation.stacks.arm import Answer, Arm
from automation.stacks.target import Target
from automation.ui.outcome import FedError
from tests.unit.support.stack_outputs import stack_outputs
from workloads.container_server.container_server.question import Question

DAY = 86_400.0
OUTPUTS = stack_outputs("hungary")


class Azure(Arm):
    """Answers from a table of resources by id; a status instead of a body is an error."""

    def __init__(self) -> None:
        self.resources: dict[str, Mapping[str, Any] | int] = {}
        for party, address in (("centre", "10.0.0.0/24"), ("hungary", "10.0.1.0/27")):
            self.resources |= {
                f"/{party}/vnet": {
                    "name": "vnet",
                    "properties": {"addressSpace": {"addressPrefixes": [address]}},
                },
                f"/{party}/vm": {
                    "name": "vm",
                    "properties": {"hardwareProfile": {"vmSize": "Standard_B2s_v2"}},
                },
                f"/{party}/vm/instanceView": {
                    "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}]
                },
                f"/{party}/storage": {"name": "st", "properties": {"publicNetworkAccess": "Disabled"}},
            }

        for half in ("/hungary/peering", "/centre/peering-hungary"):
            self.resources[half] = {"properties": {"peeringState": "Connected"}}

    def get(self, path: str, version: str, **query: str) -> Answer:
        found = self.resources.get(path, 404)
        return Answer(status=found, body={}) if isinstance(found, int) else Answer(status=200, body=found)

    def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
        assert path == f"{INSTANCE}/sync"
        self.resources[INSTANCE] = protection(self.after_a_sync)
        return Answer(status=200, body={})

    after_a_sync = "ProtectionConfigured"


INSTANCE = "/c/bvault/disk-data"


def protection(state: str) -> Mapping[str, Any]:
    """A backup instance in Azure's words."""
    error = {"code": "UserErrorMissingPermissions", "message": "a role"}
    more = {"protectionErrorDetails": error} if state == "ProtectionError" else {}
    return {"name": "disk-data", "properties": {"currentProtectionState": state, **more}}


@pytest.fixture
def azure() -> Azure:
    return Azure()


class TestReading:
    def test_shows_every_party_with_the_centre_first(self, azure: Azure) -> None:
        centre, hungary = status.read(azure, OUTPUTS)
        assert (centre.party, hungary.party) == ("centre", "hungary")
        assert hungary.network.ranges == ("10.0.1.0/27",)
        assert (hungary.machine.size, hungary.machine.power) == ("Standard_B2s_v2", "running")
        assert centre.peerings == hungary.peerings
        assert centre.healthy and hungary.healthy

    def test_a_half_of_a_peering_that_is_gone_is_missing(self, azure: Azure) -> None:
        azure.resources["/hungary/peering"] = {"properties": {"peeringState": "Disconnected"}}
        del azure.resources["/centre/peering-hungary"]
        _, hungary = status.read(azure, OUTPUTS)
        (peering,) = hungary.peerings
        assert (peering.from_hospital, peering.from_centre) == ("Disconnected", "missing")
        assert not hungary.healthy

    def test_a_vm_that_is_gone_is_missing(self, azure: Azure) -> None:
        del azure.resources["/hungary/vm"]
        assert status.read(azure, OUTPUTS)[1].machine.name == "missing"

    def test_a_refusal_is_no_absence(self, azure: Azure) -> None:
        azure.resources["/hungary/vm"] = 403
        with pytest.raises(FedError, match="/hungary/vm"):
            status.read(azure, OUTPUTS)


class TestWindow:
    @pytest.mark.parametrize(("until", "over"), [("9999-01-31", False), ("2026-01-31", True)])
    def test_says_until_when_and_that_its_day_is_over(self, azure: Azure, until: str, over: bool) -> None:
        azure.resources["/hungary/storage"] = {
            "name": "st",
            "tags": {"windowUntil": until},
            "properties": {
                "publicNetworkAccess": "Enabled",
                "networkAcls": {"ipRules": [{"value": "198.51.100.7", "action": "Allow"}]},
            },
        }
        parties = status.read(azure, OUTPUTS)
        (line,) = status.windows(parties)
        assert line.plain.startswith(f"window of hungary: 198.51.100.7 until {until}")
        assert (parties[1].healthy, "./fed up closes it" in line.plain) == (not over, over)


class TestBackup:
    """Azure says Succeeded of a backup that it fails a minute later: azure-service-operator's recording."""

    BACKED_UP = replace(OUTPUTS, centre=replace(OUTPUTS.centre, backup=INSTANCE))

    @pytest.mark.parametrize("state", ["ProtectionError", "ConfiguringProtection", "missing"])
    def test_that_is_not_configured_is_said_and_is_not_healthy(self, azure: Azure, state: str) -> None:
        azure.resources[INSTANCE] = 404 if state == "missing" else protection(state)
        centre, hungary = status.read(azure, self.BACKED_UP)
        assert not centre.healthy and hungary.healthy
        (line,) = status.backups([centre, hungary])
        assert "disk-data" in line.plain and "Fix: " in line.plain

    def test_that_is_configured_is_said_too(self, azure: Azure) -> None:
        azure.resources[INSTANCE] = protection("ProtectionConfigured")
        centre, _ = status.read(azure, self.BACKED_UP)
        assert centre.healthy
        assert status.backups([centre])[0].plain == "backup of centre: disk-data is configured"

    def test_that_has_failed_is_tried_again_once(
        self, azure: Azure, capsys: pytest.CaptureFixture[str]
    ) -> None:
        azure.resources[INSTANCE] = protection("ProtectionError")
        assert backup.settle(azure, INSTANCE).configured
        said = capsys.readouterr().err
        assert "UserErrorMissingPermissions" in said and "warning" not in said

    def test_that_stays_failed_is_a_warning(self, azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
        azure.resources[INSTANCE] = protection("ProtectionError")
        azure.after_a_sync = "ProtectionError"
        assert not backup.settle(azure, INSTANCE).configured
        assert "warning: nothing is backed up" in capsys.readouterr().err

    def test_that_is_being_configured_is_waited_for(
        self, azure: Azure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        azure.resources[INSTANCE] = protection("ConfiguringProtection")

        def sleep(_: float) -> None:
            azure.resources[INSTANCE] = protection("ProtectionConfigured")

        monkeypatch.setattr(time, "sleep", sleep)
        assert backup.settle(azure, INSTANCE).configured


def test_the_table_and_the_document_say_the_same(azure: Azure) -> None:
    parties = status.read(azure, OUTPUTS)
    text = rendered(status.table(parties))
    document = status.document("dev", "emulator", parties, None)
    for party in document["parties"]:
        for value in (
            party["party"],
            party["subscription"],
            *party["network"]["ranges"],
            party["machine"]["power"],
        ):
            assert value in text
    assert "1 of 1 connected" in text


class TestBoot:
    """A VM that ended its boot without Docker says nothing by itself: it is asked."""

    def read(self, status: Mapping[str, Any] | None, said: str) -> health.Health:
        class Vms(Azure):
            def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
                if "fedctl" in body["script"][0] and status is not None:
                    printed = f"{json.dumps(status)}\nfed-exit:0"
                elif "fedctl" in body["script"][0]:
                    printed = "docker: not found\nfed-exit:127"
                else:
                    printed = said
                return Answer(status=200, body={"value": [{"message": f"[stdout]\n{printed}\n[stderr]\n"}]})

        class On:
            emulator = None
            name = "dev"

            def arm(self) -> Arm:
                return Vms()

        return health.read(cast(Target, On()), OUTPUTS)

    STATUS: Mapping[str, Any] = {"containers": {}, "registered": 0, "last_job": None}
    NO_DOCKER = "status: error\nfed-docker: Docker does not run yet; again in 15 seconds\nfed-exit:1"

    def hungary(self, **row: Any) -> Mapping[str, Any]:
        known = {"enrolment": "new", "state": "unknown", "registered": False, "reason": "no report yet"}
        return {**self.STATUS, "hospitals": {"hungary": {**known, **row}}}

    def test_of_a_hospital_that_does_not_report(self) -> None:
        found = self.read(self.hungary(), self.NO_DOCKER)
        text = rendered(health.table(found))
        assert "Docker does not run on its VM (cloud-init status: error)" in text
        assert "again in 15 seconds" in text

    def test_of_one_whose_last_report_is_from_before_its_vm_was_replaced(self) -> None:
        found = self.read(self.hungary(reported=time.time() - DAY), self.NO_DOCKER)
        assert "Docker does not run" in found["hospitals"]["hungary"]["reason"]

    def test_where_docker_runs_the_centres_words_stay(self) -> None:
        found = self.read(self.hungary(), "10.10.0.69\n\nfed-exit:0")
        assert found["hospitals"]["hungary"]["reason"] == "no report yet"

    @pytest.mark.parametrize("address", ["20.150.241.13", ""])
    def test_a_vm_that_no_private_zone_tells_where_its_images_are(self, address: str) -> None:
        found = self.read(self.hungary(), f"{address}\n\nfed-exit:0")
        reason = found["hospitals"]["hungary"]["reason"]
        assert f".azurecr.io at {address or 'no address'}" in reason and "no private DNS zone" in reason

    def test_a_hospital_that_reports_is_not_asked(self) -> None:
        found = self.read(self.hungary(reported=time.time()), self.NO_DOCKER)
        assert found["hospitals"]["hungary"]["reason"] == "no report yet"

    def test_a_vm_without_a_way_out_is_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Azure's run command would wait 90 minutes for its answer (docs/adr/0016)."""
        monkeypatch.setattr(machines, "without_way_out", lambda stack: frozenset({"hungary"}))
        found = self.read(self.hungary(), self.NO_DOCKER)
        assert "serial log" in found["hospitals"]["hungary"]["reason"]
        assert "Docker" not in found["hospitals"]["hungary"]["reason"]

    def test_of_the_centre(self) -> None:
        with pytest.raises(FedError, match=r"docker: not found; Docker does not run on its VM"):
            self.read(None, self.NO_DOCKER)


def test_boxes_of_jobs_are_no_containers_that_people_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run while a job runs; that they do not is no fault."""
    names = ("fl-client", "fl-box", "fl-box-tabular")
    one: Any = {"status": "created", "health": None, "exitCode": 0, "error": "", "restarts": 0}
    containers = [{**one, "name": name} for name in names]
    datacentre = SimpleNamespace(status=lambda: {"machines": {"vm-basel": {"containers": containers}}})
    monkeypatch.setattr(health.Datacentre, "running", lambda _: datacentre)
    outputs: Any = SimpleNamespace(parties={"basel": SimpleNamespace(vm="/virtualMachines/vm-basel")})
    target: Any = SimpleNamespace(emulator=object())
    assert list(health._of_datacentre(target, outputs)["basel"]) == ["fl-client"]


class TestHealth:
    HEALTH: Mapping[str, Any] = {
        "containers": {
            "centre": {"container-server": "running", "fl-server": "running, healthy", "mlflow": "exited"},
            "cleveland": {"fl-client": "running"},
            "hungary": {"container-server": "created, unauthorized"},
        },
        "hospitals": {
            "cleveland": {
                "enrolment": "approved", "state": "running", "registered": True, "client": "running",
                "reported": 1000,
            },
            "hungary": {
                "enrolment": "new", "state": "unknown", "registered": False, "reason": "no report yet",
                "trouble": "no route",
            },
        },
        "registered": 1,
        "last_job": {
            "id": "0123456789", "job": "heart", "state": "failed", "round": 4, "rounds": 10, "submitted": 1,
            "reason": "the server stopped",
        },
        "troubles": [{"what": "inbox", "owner": "inbox/pulse.zip", "reason": "there is a lease on the blob"}],
    }  # fmt: skip

    def test_each_party_has_its_containers_enrolment_state_and_last_report(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "time", lambda: 1012.0)
        lines = rendered(health.table(self.HEALTH)).splitlines()
        rows = {line.split()[0]: line for line in lines if line[:1].strip()}
        assert list(rows) == ["party", "centre", "cleveland", "hungary"]
        assert "1 of 2 registered" in rows["centre"]
        assert rows["cleveland"].split("  ")[1:] != rows["hungary"].split("  ")[1:]
        assert "approved" in rows["cleveland"] and "12 s ago" in rows["cleveland"]
        assert "created, unauthorized" in rows["hungary"] and "not registered" in rows["hungary"]
        assert "no report yet" in "".join(lines)
        assert "inbox inbox/pulse.zip: there is a lease" in "".join(lines)
        assert "its container: no route" in "".join(lines)
        assert "mlflow: exited" in "".join(lines)

    @pytest.mark.parametrize(
        ("row", "shown", "red"),
        [
            ({"ends": 89 * DAY}, "approved\ncertificate: 89 days left", ""),
            ({"ends": 12 * DAY}, "approved\ncertificate: 12 days left", "certificate: 12 days left"),
            ({"ends": -2 * DAY}, "approved\ncertificate: ended 2 days ago", "certificate: ended 2 days ago"),
            (
                {"ends": 29.5 * DAY, "waits": {"what": "renewal", "since": 0}},
                "approved\ncertificate: 30 days left\nrenewal waits for a person since 1970-01-01; the "
                "client stops on 1970-01-30. Fix: ./fed hospital approve hungary",
                "renewal waits for a person since 1970-01-01; the client stops on 1970-01-30. "
                "Fix: ./fed hospital approve hungary",
            ),
            (
                {"state": "unenrolled", "enrolment": "new", "waits": {"what": "enrolment", "since": DAY}},
                "new\nenrolment waits for a person since 1970-01-02. Fix: ./fed hospital approve hungary",
                "enrolment waits for a person since 1970-01-02. Fix: ./fed hospital approve hungary",
            ),
            (
                {"refused": "name is 'cleveland'"},
                "approved\nits last request was refused: name is 'cleveland'",
                "its last request was refused: name is 'cleveland'",
            ),
        ],
    )
    def test_it_says_how_long_a_certificate_is_good_for_and_what_waits_for_whom(
        self, row: Mapping[str, Any], shown: str, red: str
    ) -> None:
        approved = {"enrolment": "approved", "state": "running", "registered": True}
        text = health._enrolment("hungary", {**approved, **row}, now=0.0)
        assert text.plain == shown
        assert "".join(text.plain[span.start : span.end] for span in text.spans if span.style).strip() == red

    def test_days_left_of_the_centres_own_certificates_are_shown_red_below_a_month(self) -> None:
        own = {"server": 200 * DAY, "lead": 12 * DAY, "root": 3000 * DAY}
        text = health._certificates({**self.HEALTH, "certificates": own}, now=0.0)
        assert text.plain.splitlines() == [
            "server's certificate: 200 days left",
            "lead's certificate: 12 days left",
            "root's certificate: 3000 days left",
        ]
        red = "".join(text.plain[span.start : span.end] for span in text.spans if span.style)
        assert red == "lead's certificate: 12 days left"

    def test_what_waits_for_a_person_is_shown_in_the_centres_words(self) -> None:
        notice = {
            "code": "hospital-silent",
            "about": "hungary",
            "text": "hungary has not reported",
            "since": DAY,
        }
        (line,) = health.waits_for_you({**self.HEALTH, "notices": [notice]})
        assert line.plain == "waits for you: hungary has not reported (hospital-silent, since 1970-01-02)"
        assert health.waits_for_you(self.HEALTH) == []

    def test_watching_looks_again_until_ctrl_c(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[int] = []

        def sleep(seconds: float) -> None:
            if len(looks) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(time, "sleep", sleep)
        with pytest.raises(KeyboardInterrupt):
            status.watch(lambda: looks.append(1), pause=5)
        assert len(looks) == 3

    def test_a_rotation_under_way_is_shown(self) -> None:
        shown = rendered(health.table({**self.HEALTH, "rotation": "a new certificate for the server"}))
        assert "rotation: a new certificate for the server" in shown

    def test_the_last_job_is_told_with_its_reason(self) -> None:
        told = rendered(health.last_job(self.HEALTH))
        assert told.strip() == "last job: heart 01234567 failed, round 4 of 10: the server stopped"
        assert "no job yet" in rendered(health.last_job({**self.HEALTH, "last_job": None}))

    def test_an_answer_that_was_cut_is_asked_for_to_its_end(self, azure: Azure) -> None:
        hospitals = {f"h{number:02}": {"registered": True} for number in range(70)}

        class Cutting(Centre):
            def ask(self, question: Question[Any]) -> Any:
                words = question.words()
                after = words[2] if len(words) > 1 else ""
                rest = {name: row for name, row in hospitals.items() if name > after}
                part = dict(list(rest.items())[:30])
                return {"hospitals": part, "registered": 70} | (
                    {"cut": True} if len(part) < len(rest) else {}
                )

        assert Cutting(azure, "/c/vm").status() == {"hospitals": hospitals, "registered": 70}


def rendered(what: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(what)
    return captured.get()
