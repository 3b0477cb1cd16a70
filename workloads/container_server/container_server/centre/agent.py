"""The centre's loop: root, server, members, enrolments, inbox, results, tables."""

import threading
from collections.abc import Callable, Mapping

from container_server.backups import Backups
from container_server.cadence import Cadence
from container_server.centre.authority import Authority
from container_server.centre.cards import Cards
from container_server.centre.champions import Champions
from container_server.centre.commands import Commands
from container_server.centre.curation import MLFLOW, Curation
from container_server.centre.distribution import Distribution
from container_server.centre.enrolments import Enrolments
from container_server.centre.inbox import Inbox
from container_server.centre.jobs import SERVER, Jobs
from container_server.centre.members import Members
from container_server.centre.models import Mlflow, Models
from container_server.centre.operators import ANSWERS_CONTAINER, QUESTIONS_CONTAINER, Operators
from container_server.centre.published import Published
from container_server.centre.requests import Requests
from container_server.centre.rotation import Rotation
from container_server.centre.sign_in import SignIn
from container_server.centre.upgrade import Upgrade
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.engine import Engine, Running
from container_server.errors import TransientError
from container_server.images import Images
from container_server.keeper import Keeper
from container_server.log import say
from container_server.metadata import images, members, nvflare_version, operators_ask
from container_server.notices import Code, Notice, Notices, certificate_ends, disk_full
from container_server.nvflare_cli import Nvflare
from container_server.storage import BlobStore

BUSY_SECONDS = 0.25
QUIET_SECONDS = 0.5
_WAITS: Mapping[str, Code] = {
    "enrolment": "enrolment-waits",
    "renewal": "renewal-waits",
    "return": "return-waits",
}


class CentreAgent:
    """Owns the centre's VM. `tick()`, `work()`, `answer()` and `answer_rest()` are one turn each of its four
    loops, and return how long to wait.
    """

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        open_container: Callable[[str], BlobStore],
        user_data: Callable[[], str],
        engine: Engine,
        nvflare: Nvflare,
        backups: Backups,
    ):
        self._config = config
        self._clock = clock
        self._user_data = user_data
        self._engine = engine
        self._keeper = Keeper(engine, clock, SERVER)
        self._members = Members(config.agent / "members.json", config.work / "allowed.json")
        self._authority = Authority(config, nvflare, clock, self._members.admit_administrator)
        self._rotation = Rotation(self._authority, self._members, clock, config.agent / "rotation.json")
        self._enrolments = Enrolments(
            config, clock, self._members, self._authority, lambda name: open_container(f"client-{name}")
        )
        self._jobs = Jobs(
            config=config,
            clock=clock,
            nvflare=nvflare,
            authority=self._authority,
            reports=self._enrolments.reports,
        )
        own = open_container("server")
        self._inbox = Inbox(open_container("inbox"), self._jobs, clock, config.agent / "inbox.json")
        self._distribution = Distribution(
            open_container("results"), self._jobs, self._enrolments, clock, config.agent / "owed.json"
        )
        self._curation = Curation(
            config=config,
            store=own,
            jobs=self._jobs,
            enrolments=self._enrolments,
            members=self._members,
            engine=engine,
            clock=clock,
        )
        self._root = Chore("root", Cadence(clock, 3600.0), self._ensure_root)
        self._rotating = Chore("rotation", Cadence(clock, 5.0), self._rotate)
        self._server = Chore("server", Cadence(clock, 2.0), self._ensure_server)
        self._listed = Chore("members", Cadence(clock, 5.0), self._follow_members)
        self._lead = Chore("administrator", Cadence(clock, 3600.0), self._authority.ensure_lead_kit)
        self._jobs_in = Chore("inbox", Cadence(clock, 10.0), self._inbox.step)
        self._requests = Requests(
            self._jobs, self._enrolments, clock, config.agent / "asked.json", self._admitted
        )
        self._champions = Champions(
            self._jobs, self._enrolments, clock, config.agent / "champions", self._admitted
        )
        self._models_out = Chore("models", Cadence(clock, 1.0), self._champions.step)
        self._answers = Chore("jobs that wait", Cadence(clock, 1.0), self._requests.step)
        self._results = Chore("results", Cadence(clock, 1.0), self._hand_results_on)
        self._tables = Chore("tables", Cadence(clock, 1.0), self._curation.step)
        self._sign_in = SignIn(config, clock)
        self._accounts = Chore("sign-in", Cadence(clock, 60.0), self._sign_in.step)
        mlflow = Mlflow(self._sign_in.password)
        results = open_container("results")
        self._cards = Cards(self._jobs, mlflow, results, config.curation, config.agent / "cards.json")
        self._cards_out = Chore("model cards", Cadence(clock, 5.0), self._cards.step)
        said = threading.Event()
        models = Models(mlflow, clock, self._champions, said.set)
        self._published = Published(
            results, self._jobs, models.registered, said, config.agent / "published.json"
        )
        self._publishing = Chore("models for researchers", Cadence(clock, 1.0), self._published.step)
        self._backups = backups
        self._backing_up = Chore("backup", Cadence(clock, 5.0), backups.step)
        self._notices = Notices(clock)
        self._noticing = Chore("notices", Cadence(clock, 60.0), self._notice)
        self._upgrade = Upgrade(
            memory=config.agent / "upgrade.json",
            members=self._members,
            enrolments=self._enrolments,
            coming=lambda: nvflare_version(user_data),
        )
        self._images = Images(
            folder=config.images,
            memory=config.agent / "images.json",
            clock=clock,
            named=lambda: images(user_data),
            go=lambda: self._upgrade.go,
            refusal=lambda changes: "",
            idle=self._jobs.idle,
            ill=self._ill,
            tell=lambda event, content: say(event, **content),
        )
        self._changing_images = Chore("images", Cadence(clock, 5.0), self._images.step)
        self._woken = threading.Event()
        self._has_root = False
        self.commands = Commands(
            config=config,
            members=self._members,
            enrolments=self._enrolments,
            jobs=self._jobs,
            engine=engine,
            clock=clock,
            wake=self._woken.set,
            authority=self._authority,
            rotation=self._rotation,
            notices=self._notices.rows,
            chores=self._chores,
            models=models,
            sign_in=self._sign_in,
            back_up=backups.soon,
            images=self._images,
            upgrade=self._upgrade,
        )
        self._operators = Operators(
            questions=open_container(QUESTIONS_CONTAINER),
            answers=open_container(ANSWERS_CONTAINER),
            handlers=self.commands.handlers(),
            clock=clock,
            memory=config.agent / "questions.json",
        )
        self._operators_ask = False
        self._asked = Chore("operators' questions", Cadence(clock, 1.0), self._operators.step)

    def _admitted(self) -> list[str]:
        return list(self._enrolments.reports())

    def tick(self) -> float:
        """One turn of what must not wait."""
        self._accounts.run()
        self._root.run()
        if self._has_root:
            self._rotating.run()
        if not self._root.trouble:
            self._server.run()
        self._listed.run()
        if self._woken.is_set():
            self._changing_images.cadence.at_once()
        self._changing_images.run()
        if self._has_root:
            self._noticing.run()
        waiting = self._has_root and self._enrolments.step()
        if self._has_root and not waiting:
            self._lead.run()
        woken = self._woken.is_set()
        self._woken.clear()
        return BUSY_SECONDS if waiting or woken else QUIET_SECONDS

    def work(self) -> float:
        """One turn of what takes long: a job is built, large files are uploaded, tables are made.

        It has a thread of its own: a newcomer, a revocation or a report waits for none of it.
        """
        self._jobs_in.run()
        self._answers.run()
        self._results.run()
        self._models_out.run()
        self._publishing.run()
        self._tables.run()
        self._cards_out.run()
        self._backing_up.run()
        return QUIET_SECONDS

    def answer(self) -> float:
        """One turn of looking what operators ask, and doing what stops something: that waits for nothing."""
        if self._operators_ask:
            self._asked.run()
        return QUIET_SECONDS

    def answer_rest(self) -> float:
        """One turn of answering what else operators ask: some of it takes long."""
        if self._operators_ask:
            self._operators.rest()
        return QUIET_SECONDS

    def _chores(self) -> list[Chore]:
        """Those that are the centre's own; a hospital's are in its channel."""
        own = [self._root, self._rotating, self._server, self._listed, self._lead, self._changing_images]
        own += [self._noticing, self._jobs_in, self._answers, self._results, self._tables, self._backing_up]
        own += [self._models_out, self._publishing, self._cards_out, self._accounts]
        own += [self._asked] if self._operators_ask else []
        parts = (
            self._inbox,
            self._requests,
            self._distribution,
            self._champions,
            self._curation,
            self._operators,
        )
        return [*own, *(chore for part in parts for chore in part.chores)]

    def _ensure_root(self) -> None:
        self._authority.ensure_root()
        self._renew_server()
        self._has_root = True

    def _rotate(self) -> None:
        self._rotation.step(self._enrolments.reports())
        self._renew_server()

    def _renew_server(self) -> None:
        """A new kit for the server, where it is due, and one restart; whoever is killed restarts it later."""
        with self._jobs.idle() as idle:
            spare, asked = not (idle or self._rotation.now), self._rotation.server_is_asked
            if self._authority.ensure_server_kit(spare=spare, asked=asked):
                self._rotation.server_is_new()
            if self._authority.restart_due:
                if self._engine.state(SERVER).running is Running.RUNNING:
                    self._keeper.restart()
                self._authority.restarted()

    def _ensure_server(self) -> None:
        if self._engine.state(SERVER).running is Running.RUNNING:
            return
        if faults := self._authority.server_kit_faults():
            raise TransientError("the server's kit: " + "; ".join(faults))
        if self._keeper.start():
            say("server started", restarts=self._keeper.restarts)

    def _ill(self) -> str:
        """Why the centre does not serve now; empty when it does."""
        server, tracking = self._engine.state(SERVER), self._engine.state(MLFLOW)
        if server.running is not Running.RUNNING:
            return f"{SERVER} is {server.running.value}"
        well = tracking.running is Running.RUNNING and tracking.health in ("healthy", "")
        return "" if well else f"{MLFLOW} is {tracking.running.value} {tracking.health}".strip()

    def _notice(self) -> None:
        """What a person at the centre is to know in time."""
        now, found = self._clock.now(), [*disk_full(self._config.agent), *self._backups.notices()]
        for what, ends in self._authority.ends().items():
            found += certificate_ends(what, ends, now, f"./fed rotate {what}")
        for name, member in self._members.all().items():
            fix = f"./fed hospital approve {name}"
            if member.waiting:
                what, text = member.waiting.what, f"{member.waiting.what} of {name} waits for a person"
                found.append(Notice(code=_WAITS[what], about=name, text=f"{text}. Fix: {fix}"))
            elif member.admitted and member.ends is not None:
                found += certificate_ends(name, member.ends, now, "its row in ./fed status says why")
        found += [
            Notice(code="hospital-silent", about=name, text=f"{name} has not reported for an hour")
            for name in self._enrolments.silent()
        ]
        self._notices.tell(found)

    def _follow_members(self) -> None:
        text = self._user_data()
        self._operators_ask = operators_ask(lambda: text)
        came, gone = self._members.compare(members(lambda: text))
        for name in came:
            self._enrolments.reopen(name)
            self._curation.forget(name)
            self._requests.forget(name)
            self._champions.forget(name)
            # Last, and in one step: whoever is killed before it does all this again.
            back = self._members.take_in(
                name, manual=self._config.approval == "manual", now=self._clock.now()
            )
            say("member", hospital=name, back=back)
        for name in gone:
            self._members.let_go(name)
            say("member gone: its certificate is no longer accepted", hospital=name)

    def _hand_results_on(self) -> None:
        self._distribution.step(self._admitted())
