"""The hospital's loop: look, decide, do one thing, report."""

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

from container_server.cadence import Cadence
from container_server.certificates import Certificate
from container_server.clock import Clock
from container_server.config import Config
from container_server.engine import ContainerState, Engine, EngineUnreachableError, Running
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.hospital.enrolment import Enrolment
from container_server.hospital.staging import Staging
from container_server.hospital.state import Action, Decision, Facts, State, decide
from container_server.keeper import Keeper
from container_server.kit import HOSPITAL_KIT, Manifest, faults
from container_server.local_config import renew_hospital_policy
from container_server.log import say
from container_server.messages import DESIRED, REPORT, InvalidMessageError, decode, encode
from container_server.nvflare_cli import Nvflare, NvflareError
from container_server.storage import Blob, BlobStore

CLIENT = "fl-client"
BUSY_SECONDS = 0.25
"""Pause of the loop while something is expected to happen."""
QUIET_SECONDS = 2.0
"""Pause of the loop while all is well."""
RENEW_BEFORE = timedelta(days=30)
"""A certificate is renewed this long before it ends (leaves are valid for 90 days)."""
ENGINE_PATIENCE_SECONDS = 120.0


class EngineLostError(Exception):
    """The engine has not answered for long: this container must be restarted to get its socket anew."""


class HospitalAgent:
    """Owns one hospital's VM. `tick()` is one turn of the loop and returns how long to wait."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        channel: BlobStore,
        data: BlobStore,
        engine: Engine,
        nvflare: Nvflare,
    ):
        self._config = config
        self._clock = clock
        self._channel = channel
        self._engine = engine
        self._keeper = Keeper(engine, clock, CLIENT)
        self._enrolment = Enrolment(config, channel, nvflare, clock)
        self._staging = Staging(data, config.data, config.agent / "staging.json")
        self._desired_look = Cadence(clock, 10.0)
        self._data_look = Cadence(clock, 60.0)
        self._kit_look = Cadence(clock, 30.0)
        self._renewal_due = Cadence(clock, 86_400.0)
        self._report_due = Cadence(clock, 60.0)
        self._details_due = Cadence(clock, 5.0)
        self._memory = config.agent / "hospital.json"
        remembered = read_json(self._memory) or {}
        self._generation = int(remembered.get("generation", 0))
        self._renewed = int(remembered.get("renewed", 0))
        self._desired: dict[str, Any] = remembered.get("desired") or {"client": "running", "reason": ""}
        self._desired_etag: str | None = None
        self._manifest = self._with_todays_policy(self._load_manifest())
        self._renewing = self._manifest is not None and self._enrolment.begun
        self._kit_faults: tuple[str, ...] = ()
        self._troubles: dict[str, str] = {}
        self._engine_heard = clock.now()
        self._since = clock.now()
        self._reported_state: State | None = None
        self._reported_details: tuple[Any, ...] = ()
        self.decision = Decision(State.UNENROLLED, "starting")
        self._renew_if_asked()

    def tick(self) -> float:
        """One turn. Raises EngineLostError when only a restart can help."""
        self._look_at_desired()
        if self._kit_look.due():
            self._check_kit()
        if self._manifest:
            self._look_at_data()
        client = self._client_state()
        decision = decide(self._facts(client)) if client else self.decision
        self._act(decision)
        if decision.state is not self.decision.state:
            self._since = self._clock.now()
            say("state", state=decision.state.value, reason=decision.reason)
        self.decision = decision
        self._report(client)
        settled = decision.state in (State.RUNNING, State.STOPPED) and not self._renewing
        return QUIET_SECONDS if settled else BUSY_SECONDS

    def report(self, client: ContainerState | None = None) -> dict[str, Any]:
        """The report, as it goes to the centre (without `schema`)."""
        client = client or self._client_state() or ContainerState(Running.ABSENT)
        renewal = [f"renewal: {self._enrolment.status}"] if self._renewing else []
        reason = "; ".join([self.decision.reason, *renewal, *self._troubles.values()])
        return {
            "hospital": self._config.party,
            "state": self.decision.state.value,
            "since": self._since,
            "reason": reason[:500],
            "written": self._clock.now(),
            "generation": self._generation,
            "client": {
                "running": client.running.value,
                "restarts": self._keeper.restarts,
                "heard": self._heard_at(),
            },
            "data": {name: vars(file) for name, file in self._staging.files.items()},
            "certificate": self._certificate(),
            "versions": {"image": self._config.image, "revision": self._config.revision},
        }

    # Looking.

    def _look_at_desired(self) -> None:
        if not self._desired_look.due():
            return
        try:
            found = self._channel.read(DESIRED, self._desired_etag)
        except TransientError as error:
            self._troubles["desired state"] = str(error)
            self._desired_look.failed()
            return
        self._troubles.pop("desired state", None)
        self._desired_look.succeeded()
        if isinstance(found, Blob):
            self._desired_etag = found.etag
            try:
                self._take(decode("desired", found.content))
            except InvalidMessageError as error:
                say("desired state refused", reason=str(error))

    def _take(self, desired: dict[str, Any]) -> None:
        if desired["generation"] <= self._generation:
            if desired["generation"] < self._generation:
                say("desired state refused: older than one already seen", generation=desired["generation"])
            return
        self._generation, self._desired = int(desired["generation"]), desired
        self._remember()
        say("desired state", client=desired["client"], generation=self._generation)
        self._renew_if_asked()

    def _check_kit(self) -> None:
        if self._manifest is None:
            return
        self._kit_faults = tuple(faults(self._config.kit, self._manifest, HOSPITAL_KIT, self._clock.now()))
        self._kit_look.succeeded(3.0 if self._kit_faults else None)
        if self._kit_faults:
            say("kit check failed", faults=self._kit_faults)
        if self._ends_soon() and not self._renewing and self._renewal_due.due():
            self._renewal_due.succeeded()
            self._begin_renewal("the certificate ends soon")

    def _look_at_data(self) -> None:
        if not self._data_look.due():
            return
        try:
            self._staging.refresh()
        except TransientError as error:
            self._troubles["data"] = str(error)
            self._data_look.failed()
            return
        self._troubles.pop("data", None)
        self._data_look.succeeded(5.0 if self._staging.faults else None)

    def _client_state(self) -> ContainerState | None:
        try:
            state = self._engine.state(CLIENT)
        except EngineUnreachableError as error:
            self._troubles["engine"] = str(error)
            if self._clock.now() - self._engine_heard > ENGINE_PATIENCE_SECONDS:
                raise EngineLostError(str(error)) from error
            return None
        self._troubles.pop("engine", None)
        self._engine_heard = self._clock.now()
        return state

    def _facts(self, client: ContainerState) -> Facts:
        now = self._clock.now()
        heard, started = self._heard_at(), self._keeper.started_at
        return Facts(
            wanted=self._desired["client"],
            wanted_reason=str(self._desired.get("reason", "")),
            enrolment=None if self._manifest else self._enrolment.status,
            kit_faults=self._kit_faults,
            data_faults=self._staging.faults,
            data_notes=self._staging.notes,
            has_data=self._staging.ready,
            client=client,
            heard_ago=None if heard is None else now - heard,
            started_ago=None if started is None else now - started,
            restarts=self._keeper.restarts,
        )

    # Doing.

    def _act(self, decision: Decision) -> None:
        try:
            if decision.action is Action.ENROL or self._renewing:
                self._enrol()
            if decision.action is Action.START:
                self._start()
            elif decision.action is Action.STOP:
                self._keeper.stop()
                say("client stopped", reason=decision.reason)
        except (TransientError, NvflareError) as error:
            self._troubles["enrolment" if self._manifest is None or self._renewing else "client"] = str(error)
        else:
            self._troubles.pop("client", None)

    def _enrol(self) -> None:
        manifest = self._enrolment.step()
        if not self._enrolment.blocked:
            self._troubles.pop("enrolment", None)
        if manifest is None:
            return
        self._manifest = manifest
        self._data_look.at_once()
        self._renewing = False
        self._renewed = int(self._desired.get("renew", 0))
        self._remember()
        self._check_kit()
        if not self._kit_faults and self._engine.state(CLIENT).running is not Running.STOPPED:
            self._keeper.restart()
            say("client restarted with its new certificate")

    def _start(self) -> None:
        self._check_kit()  # never on the word of an older check
        if not self._kit_faults and self._keeper.start():
            say("client started", restarts=self._keeper.restarts)

    def _renew_if_asked(self) -> None:
        asked = int(self._desired.get("renew", 0)) > self._renewed
        if self._manifest and asked and not self._renewing:
            self._begin_renewal("the centre asks for a new certificate")

    def _begin_renewal(self, reason: str) -> None:
        say("renewing the certificate", reason=reason)
        self._enrolment.renew()
        self._renewing = True

    # Reporting.

    def _report(self, client: ContainerState | None) -> None:
        state = self.decision.state
        details = (
            *self._troubles.values(),
            self.decision.reason,
            self._generation,
            client.running if client else None,
            self._staging.faults,
            *self._staging.files.items(),
        )
        wanted = state is not self._reported_state or (
            details != self._reported_details and self._details_due.due()
        )
        if not (self._report_due.due() or (wanted and not self._report_due.failing)):
            return
        try:
            self._channel.write(REPORT, encode("report", self.report(client)))
        except TransientError as error:
            say("report not delivered", reason=str(error))
            self._report_due.failed()
            return
        self._report_due.succeeded()
        self._details_due.succeeded()
        self._reported_state, self._reported_details = state, details

    # Small facts.

    def _heard_at(self) -> float | None:
        try:
            heard = float(ForeignFolder(self._config.work).json("health.json")["heard"])
        except (ForeignFileError, OSError, ValueError, KeyError, TypeError):
            return None
        started = self._keeper.started_at
        return heard if started is None or heard >= started else None

    def _certificate(self) -> dict[str, str] | None:
        path = self._config.kit / HOSPITAL_KIT.certificate
        try:
            own = Certificate.read(path.read_bytes())
        except (OSError, ValueError):
            return None
        return {"serial": own.serial, "valid_until": own.valid_until.isoformat()}

    def _ends_soon(self) -> bool:
        try:
            own = Certificate.read((self._config.kit / HOSPITAL_KIT.certificate).read_bytes())
        except (OSError, ValueError):
            return False  # a fault of the kit's, which the check names
        return own.valid_until - datetime.fromtimestamp(self._clock.now(), UTC) < RENEW_BEFORE

    def _load_manifest(self) -> Manifest | None:
        try:
            return Manifest.load(self._enrolment.manifest_path)
        except ValueError as error:
            say("manifest damaged: enrolling again", reason=str(error))
            self._enrolment.manifest_path.unlink()
            shutil.rmtree(self._config.agent / "enrolment", ignore_errors=True)
            return None

    def _with_todays_policy(self, manifest: Manifest | None) -> Manifest | None:
        """The manifest of the kit with this image's policy; unchanged for a kit that is not as assembled."""
        kit = self._config.kit
        if manifest is None or faults(kit, manifest, HOSPITAL_KIT, self._clock.now()):
            return manifest
        if not renew_hospital_policy(kit):
            return manifest
        renewed = Manifest.of(kit, manifest.fingerprint, manifest.name, manifest.target)
        renewed.save(self._enrolment.manifest_path)
        say("policy renewed: this image has another one")
        return renewed

    def _remember(self) -> None:
        content = {"generation": self._generation, "renewed": self._renewed, "desired": self._desired}
        write_json(self._memory, content)
