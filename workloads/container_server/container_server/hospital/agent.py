"""The hospital's loop: look, decide, do one thing, report."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from fed_data.catalogue import Catalogue

from container_server import nvflare_versions
from container_server.background import Background
from container_server.backups import Backups
from container_server.cadence import Cadence
from container_server.certificates import Certificate
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.control import Handler
from container_server.engine import ContainerState, Engine, EngineUnreachableError, Running
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.hospital.airlock_policy import AirlockPolicy
from container_server.hospital.asked import Asked
from container_server.hospital.consent import Consent
from container_server.hospital.data_sets import DataSets
from container_server.hospital.enrolment import POLL_SECONDS, Enrolment
from container_server.hospital.ledgers import KeptLedgers
from container_server.hospital.models import Models
from container_server.hospital.own_images import OwnImages
from container_server.hospital.staging import Staging
from container_server.hospital.state import GRACE_SECONDS, Action, Decision, Facts, State, decide
from container_server.images import Go
from container_server.keeper import Keeper
from container_server.kit import HOSPITAL_KIT, Manifest, faults
from container_server.local_config import renew_hospital_policy
from container_server.log import say
from container_server.messages import DESIRED, REPORT, InvalidMessageError, decode, encode
from container_server.notices import Notice, Notices, certificate_ends, disk_full
from container_server.nvflare_cli import Nvflare
from container_server.storage import Blob, BlobStore

CLIENT = "fl-client"
SMALL_FILES_SECONDS = 3.0
"""How long the loop waits for data that come, or an archive that goes; larger ones do so next to it."""
BUSY_SECONDS = 0.25
"""Pause of the loop while something is expected to happen."""
QUIET_SECONDS = 2.0
"""Pause of the loop while all is well."""
MODELS_SECONDS = 120.0
"""Between two looks for promoted models; `fed hospital review` looks at once."""
RENEW_BEFORE = timedelta(days=30)
"""A certificate is renewed this long before it ends (leaves are valid for 90 days)."""
RESTART_WITHIN = timedelta(days=7)
"""How long a client that has a new certificate is not restarted because a job runs."""
ENGINE_PATIENCE_SECONDS = 120.0
CLOCK_SECONDS = 60.0
"""How far two clocks of one VM may be apart."""


class EngineLostError(Exception):
    """The engine has not answered for long: this container must be restarted to get a new socket."""


class HospitalAgent:
    """Owns one hospital's VM. `tick()` is one turn of the loop and returns how long to wait."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        channel: BlobStore,
        data: BlobStore,
        policy: BlobStore,
        record: BlobStore,
        user_data: Callable[[], str],
        engine: Engine,
        nvflare: Nvflare,
        backups: Backups,
        ledgers: KeptLedgers,
    ):
        self._config = config
        self._clock = clock
        self._channel = channel
        self._engine = engine
        self._keeper, self._ledgers = Keeper(engine, clock, CLIENT), ledgers
        self._enrolment = Enrolment(config, channel, nvflare, clock)
        self._consent = Consent(
            policy=policy,
            record=record,
            answers=config.answers,
            work=config.work,
            memory=config.agent / "consent.json",
            platform_is_approved=config.environment == "dev",
            clock=clock,
        )
        self._data_sets = DataSets(policy, self._consent.note)
        self._staging = Staging(
            store=data,
            data=config.data,
            seen=config.input,
            memory=config.agent / "staging.json",
            catalogue=self.known_data_sets,
            record=self._consent.note,
        )
        self._staging_work = Background(self._staging.refresh, SMALL_FILES_SECONDS)
        self._airlock = AirlockPolicy(policy, config.answers, config.agent, self._consent.note)
        self._airlock_look = Chore("airlock", Cadence(clock, 20.0), self._airlock.step)
        self._images = OwnImages(
            config=config,
            clock=clock,
            policy=policy,
            user_data=user_data,
            go=lambda: Go.of(self._desired.get("images")),
            idle=self._idle,
            ill=self._ill,
            tell=self._consent.note,
        )
        self._asked = Asked(channel, self._consent)
        self.models = Models(channel, self._consent, config.agent / "models")
        self._asked_look, self._models_look = (
            Chore(what, Cadence(clock, seconds), look)
            for what, seconds, look in (
                ("questions", 20.0, self._asked.step),
                ("models", MODELS_SECONDS, self.models.step),
            )
        )
        self._consent_look = Chore("jobs", Cadence(clock, 20.0), self._consent.step)
        self._orders = Chore("desired state", Cadence(clock, 10.0), self._look_at_desired)
        self._kit_look = Chore("kit", Cadence(clock, 30.0), self._check_kit)
        self._data_sets_look = Chore("data sets", Cadence(clock, 20.0), self._look_at_data_sets)
        self._data_look = Chore("data", Cadence(clock, 60.0), self._look_at_data)
        self._engine_look = Chore("engine", Cadence(clock, 0.0, longest_pause=5.0), self._look_at_client)
        self._deciding = Chore("decision", Cadence(clock, 0.0, longest_pause=5.0), self._decide)
        polling = Cadence(clock, POLL_SECONDS, first_pause=POLL_SECONDS, longest_pause=30.0)
        self._enrolling = Chore("enrolment", polling, self._enrol)
        self._doing = Chore("client", Cadence(clock, 0.0, longest_pause=5.0), self._do)
        self._reporting = Chore("report", Cadence(clock, 60.0), self._send_report)
        self._backups = backups
        self._backing_up = Chore("backup", Cadence(clock, 5.0), _next_to_the_loop(backups.step))
        self._notices, self._noticing = Notices(clock), Chore("notices", Cadence(clock, 60.0), self._notice)
        self._renewal_due, self._details_due = Cadence(clock, 86_400.0), Cadence(clock, 5.0)
        self._memory = config.agent / "hospital.json"
        remembered = read_json(self._memory) or {}
        self._generation, self._renewed = (int(remembered.get(key, 0)) for key in ("generation", "renewed"))
        self._restart_due = float(remembered.get("restart_due", 0.0))
        """Since when (Unix time) the client may still run with the kit before this one; 0: it does not."""
        self._desired: dict[str, Any] = remembered.get("desired") or {"client": "running", "reason": ""}
        self._desired_etag: str | None = None
        self._refused_order = ""
        """Why the present order is set aside; the one before stays in force."""
        self._manifest = self._with_todays_policy(self._load_manifest())
        self._renewing = self._manifest is not None and self._enrolment.begun
        self._kit_faults: tuple[str, ...] = ()
        self._client: ContainerState | None = None
        """As the engine last saw it; None when it did not answer."""
        self._engine_heard = self._since = clock.now()
        self._reported_state: State | None = None
        self._reported_details: tuple[Any, ...] = ()
        self.decision = Decision(State.UNENROLLED, "starting")
        self._renew_if_asked()

    def tick(self) -> float:
        """One turn. Raises EngineLostError when only a restart can help."""
        self._orders.run()
        self._consent_look.run()
        self._airlock_look.run()
        self._asked_look.run()
        self._models_look.run()
        self.models.judge()
        self._kit_look.run()
        if self._manifest:
            self._data_sets_look.run()
            self._data_look.run()
        self._engine_look.run()
        if self._clock.now() - self._engine_heard > ENGINE_PATIENCE_SECONDS:
            raise EngineLostError(self._engine_look.trouble)
        if self._client:
            self._deciding.run()
        if self.decision.action is Action.ENROL or self._renewing:
            self._enrolling.run()
        self._doing.run()
        self._images.run()
        self._noticing.run()
        self._backing_up.run()
        self._report()
        settled = self.decision.state in (State.RUNNING, State.STOPPED) and not self._renewing
        return QUIET_SECONDS if settled else BUSY_SECONDS

    def handlers(self) -> dict[str, Handler]:
        """What this VM's `fedctl` answers."""
        return {"status": lambda arguments: self.report(), "review": lambda arguments: self.review()}

    def review(self) -> dict[str, Any]:
        """The jobs that asked to run here and what was said; looks again soon at the officers' files."""
        self._asked_look.cadence.at_once()
        self._models_look.cadence.at_once()
        self._consent_look.cadence.at_once()
        self._airlock_look.cadence.at_once()
        self._data_sets_look.cadence.at_once()
        self._images.at_once()
        return {**self._consent.review(), "images": self._images.review()}

    def report(self) -> dict[str, Any]:
        """The report, as it goes to the centre (without `schema`)."""
        client = self._client or ContainerState(Running.ABSENT)
        renewal = [f"renewal: {self._enrolment.status}"] if self._renewing else []
        reason = "; ".join([self.decision.reason, *renewal, *self._troubles()])
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
            "data": {name: file.for_the_centre() for name, file in self._staging.files.items()},
            "certificate": self._certificate(),
            "jobs": self._consent.standing(),
            **({"images": message} if (message := self._images.message) else {}),
            "versions": {
                "image": self._config.image,
                "revision": self._config.revision,
                "nvflare": nvflare_versions.running(),
            },
        }

    # Looking.

    def _look_at_desired(self) -> None:
        found = self._channel.read(DESIRED, self._desired_etag)
        if isinstance(found, Blob):
            self._desired_etag = found.etag
            self._refused_order = ""
            try:
                self._take(decode("desired", found.content))
            except InvalidMessageError as error:
                self._refused_order = f"the centre's order cannot be read: {error}"
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

    def _check_kit(self) -> float | None:
        if self._manifest is None:
            return None
        self._kit_faults = self._faults_of(self._manifest)
        if self._kit_faults:
            say("kit check failed", faults=self._kit_faults)
        if self._ends_soon() and not self._renewing and self._renewal_due.due():
            self._renewal_due.succeeded()
            self._begin_renewal("the certificate ends soon")
        return 3.0 if self._kit_faults else None

    def _faults_of(self, manifest: Manifest) -> tuple[str, ...]:
        try:
            return tuple(faults(self._config.kit, manifest, HOSPITAL_KIT, self._clock.now()))
        except Exception as error:  # a kit that cannot be checked is no kit: the client stops
            return (f"cannot be checked: {type(error).__name__}: {str(error)[:200]}",)

    def _look_at_data_sets(self) -> None:
        if self._data_sets.step():
            self._data_look.cadence.at_once()

    def note(self, event: str, content: Mapping[str, Any]) -> None:
        """Add an entry to the hospital's record."""
        self._consent.note(event, content)

    def known_data_sets(self) -> Catalogue:
        """The release's data sets and the officers'. Raises TransientError before these were looked at."""
        if self._data_sets.known is None:
            raise TransientError("the container policy has not been looked at yet: it may have data sets")
        return self._data_sets.known

    def _look_at_data(self) -> float | None:
        if not self._staging_work.step():
            return BUSY_SECONDS
        return 5.0 if self._staging.faults else None

    def _look_at_client(self) -> None:
        self._client = None
        try:
            self._client = self._engine.state(CLIENT)
        except EngineUnreachableError:
            raise
        except Exception:  # it answers, though not in words that are understood: a restart would not help
            self._engine_heard = self._clock.now()
            raise
        self._engine_heard = self._clock.now()

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
            data_reading=self._staging.reading,
            has_data=self._staging.ready,
            client=client,
            heard_ago=None if heard is None else now - heard,
            started_ago=None if started is None else now - started,
            job_runs=self._health().get("jobs", 0) != 0,
            restarts=self._keeper.restarts,
        )

    # Doing.

    def _decide(self) -> None:
        if self._client is None:
            return
        decision = decide(self._facts(self._client))
        if decision.state is not self.decision.state:
            self._since = self._clock.now()
            say("state", state=decision.state.value, reason=decision.reason)
        self.decision = decision

    def _do(self) -> None:
        alive = self._client is not None and _is_alive(self._client)
        if self.decision.action is Action.STOP:
            self._keeper.stop()
            say("client stopped", reason=self.decision.reason)
        elif self.decision.action is Action.START:
            self._start()
        elif self.decision.action is Action.RESTART and self._clock.now() - self._since > GRACE_SECONDS:
            # Seen so for a while: a clock that is put right makes every answer look old for a moment.
            self._keeper.restart()
            say("client restarted: it heard nothing for long", reason=self.decision.reason)
            self._restarted()
        elif self._restart_due and alive and not self._kit_faults and not self._waits_for_a_job():
            self._keeper.restart()
            say("client restarted with its new certificate")
            self._restarted()

    def _enrol(self) -> float:
        manifest = self._enrolment.step()
        if manifest is not None:
            self._manifest, self._renewing, self._restart_due = manifest, False, self._clock.now()
            self._renewed = int(self._desired.get("renew", 0))
            self._remember()
            self._enrolment.done()
            self._data_look.cadence.at_once()
            self._kit_look.attempt()
        return self._enrolment.pause

    def _start(self) -> None:
        self._kit_look.attempt()  # never on the word of an older check
        self._ledgers.recover()  # a new disk forgets nothing that left
        if not self._kit_faults and self._keeper.start():
            say("client started", restarts=self._keeper.restarts)
            self._restarted()

    def _restarted(self) -> None:
        if self._restart_due:
            self._restart_due = 0.0
            self._remember()

    def _waits_for_a_job(self) -> bool:
        """NVFlare 2.9 gives a running job to no client that registers again: the restart waits for its end.

        Not for longer than some days: a job can write the file that says that it runs.
        """
        lately = self._clock.now() - self._restart_due < RESTART_WITHIN.total_seconds()
        return lately and self._health().get("jobs", 0) != 0

    def _renew_if_asked(self) -> None:
        asked = int(self._desired.get("renew", 0)) > self._renewed
        if self._manifest and asked and not self._renewing:
            self._begin_renewal("the centre asks for a new certificate")

    def _begin_renewal(self, reason: str) -> None:
        say("renewing the certificate", reason=reason)
        self._enrolment.renew()
        self._enrolling.cadence.at_once()
        self._renewing = True

    def _notice(self) -> None:
        """What a person at the hospital is to know in time."""
        found = [*disk_full(self._config.agent), *self._backups.notices(), *self._images.notices()]
        for job in self._consent.review()["jobs"]:
            if job["answer"] == "waiting":
                text = f"{job['name']} asks to run on this hospital's patients. Fix: policy/jobs.json"
                found.append(Notice(code="job-waits", about=job["code"][:12], text=text))
        for fault in self._staging.faults:
            found.append(Notice(code="data-refused", about=self._config.party, text=fault[:300]))
        if ends := self._certificate_ends():
            fix = "the centre must approve the renewal that waits"
            found += certificate_ends(self._config.party, ends, self._clock.now(), fix)
        self._notices.tell(found)

    # Reporting.

    def _report(self) -> None:
        """At the latest each minute; at once when the state changes, soon when its details do."""
        state, details = self.decision.state, self._details()
        changed = state is not self._reported_state or (
            details != self._reported_details and self._details_due.due()
        )
        if changed and not self._reporting.trouble:
            self._reporting.attempt()
        else:
            self._reporting.run()

    def _send_report(self) -> None:
        state, details = self.decision.state, self._details()
        self._channel.write(REPORT, encode("report", self.report()))
        self._details_due.succeeded()
        self._reported_state, self._reported_details = state, details

    def _details(self) -> tuple[Any, ...]:
        return (
            *self._troubles(),
            self.decision.reason,
            self._generation,
            self._client.running if self._client else None,
            self._staging.faults,
            *self._staging.files.items(),
            self._consent.standing(),
            self._images.message,
        )

    def _troubles(self) -> list[str]:
        chores = (
            self._orders,
            self._consent_look,
            self._airlock_look,
            self._asked_look,
            self._models_look,
            self._kit_look,
            self._data_sets_look,
            self._data_look,
            self._engine_look,
            self._deciding,
            self._enrolling,
            self._doing,
            self._noticing,
            self._backing_up,
            *self._images.chores,
        )
        told = [
            self._refused_order,
            self._consent.fault,
            self._airlock.fault,
            self._data_sets.fault,
            self._asked.fault,
            self._ledgers.trouble,
            self._images.fault,
            self.models.fault,
            *(chore.trouble for chore in chores),
        ]
        return [trouble for trouble in told if trouble]

    # Small facts.

    @contextmanager
    def _idle(self) -> Iterator[bool]:
        """Whether no job runs here: without a client none does, whatever it wrote last."""
        ended = self._client is not None and not _is_alive(self._client)
        yield ended or self._health().get("jobs", 0) == 0

    def _ill(self) -> str:
        """Why this hospital takes no part now; empty when it does."""
        return "" if self.decision.state is State.RUNNING else self.decision.reason

    def _health(self) -> dict[str, Any]:
        """What the client wrote of itself, or a job in its place; empty when that cannot be read."""
        try:
            content = ForeignFolder(self._config.work).json("health.json")
        except (ForeignFileError, OSError):
            return {}
        return content if isinstance(content, dict) else {}

    def _heard_at(self) -> float | None:
        heard: Any = self._health().get("heard")
        started = self._keeper.started_at
        # A job can write there, too: a moment to come is none.
        latest = self._clock.now() + CLOCK_SECONDS
        possible = isinstance(heard, int | float) and (started or 0.0) <= heard <= latest
        return float(heard) if possible else None

    def _certificate(self) -> dict[str, str] | None:
        path = self._config.kit / HOSPITAL_KIT.certificate
        try:
            own = Certificate.read(path.read_bytes())
        except (OSError, ValueError):
            return None
        return {"serial": own.serial, "valid_until": own.valid_until.isoformat()}

    def _ends_soon(self) -> bool:
        ends = self._certificate_ends()
        return ends is not None and ends - self._clock.now() < RENEW_BEFORE.total_seconds()

    def _certificate_ends(self) -> float | None:
        try:
            own = Certificate.read((self._config.kit / HOSPITAL_KIT.certificate).read_bytes())
        except (OSError, ValueError):
            return None  # a fault of the kit's, which the check names
        return own.valid_until.timestamp()

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
        write_json(self._memory, {**content, "restart_due": self._restart_due})


def _next_to_the_loop(action: Callable[[], None]) -> Callable[[], float | None]:
    """A chore's action that the loop waits for only shortly."""
    work = Background(action, SMALL_FILES_SECONDS)
    return lambda: None if work.step() else BUSY_SECONDS


def _is_alive(client: ContainerState) -> bool:
    """Whether it runs, or is about to run again by itself."""
    return client.running in (Running.RUNNING, Running.RESTARTING)
