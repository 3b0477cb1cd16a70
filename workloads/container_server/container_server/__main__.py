"""`python -m container_server`: the service of this VM, as its environment says."""

import os
import signal
import sys
import threading
from collections.abc import Callable

from azure.identity import ManagedIdentityCredential

from container_server import control, health
from container_server.azure_storage import open_account
from container_server.backups import Backups
from container_server.centre.agent import CentreAgent
from container_server.clock import Clock, SystemClock
from container_server.config import Config, ConfigError
from container_server.engine import DockerEngine
from container_server.hospital.agent import EngineLostError, HospitalAgent
from container_server.hospital.box import BoxKeeper, Width, house_limits
from container_server.hospital.box_input import BoxInput
from container_server.hospital.consent import ANSWERS
from container_server.hospital.ledgers import KeptLedgers
from container_server.hospital.scoring import Scoring
from container_server.log import say
from container_server.metadata import backup_recipient, fetch_user_data
from container_server.nvflare_cli import Nvflare
from container_server.recovery import Recovery


def run(tick: Callable[[], float], clock: Clock) -> None:
    """Turn forever."""
    while True:
        pause = tick()
        health.beat()
        clock.sleep(pause)


def recover(recovery: Recovery, clock: Clock) -> None:
    """Wait for a person's word where the VM's data disk is new and its party has a backup."""
    if not recovery.needed:
        return
    door = control.serve(recovery.handlers())
    while (pause := recovery.tick()) is not None:
        health.beat()
        clock.sleep(pause)
    door.shutdown()
    door.server_close()


def work(turn: Callable[[], float], clock: Clock) -> None:
    """Turn forever what takes long, on a thread. If that ends by a fault of ours, so does the service."""

    def turning() -> None:
        try:
            while True:
                clock.sleep(turn())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=turning, name="work", daemon=True).start()


def main() -> None:
    """Wire the service together and run it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    os.umask(0o077)
    try:
        config = Config.read(os.environ)
    except ConfigError as error:
        sys.exit(f"container-server: {error}")
    clock, engine = SystemClock(), DockerEngine()
    credential = ManagedIdentityCredential(client_id=config.client_id)
    nvflare = Nvflare(config.agent / "nvflare-home")
    hub = open_account(config.hub_storage, credential)
    say("container server", role=config.role, party=config.party, image=config.image)
    account = hub if config.role == "centre" else open_account(config.own_storage, credential)
    channel = None if config.role == "centre" else hub(f"client-{config.party}")
    kept = account("backup")
    recovery = Recovery(config=config, clock=clock, store=kept, engine=engine, channel=channel)
    recover(recovery, clock)
    backups = Backups(
        config=config,
        clock=clock,
        store=kept,
        engine=engine,
        recipient=lambda: backup_recipient(lambda: fetch_user_data(config.metadata)),
    )
    shared = {**backups.handlers(), "restore": recovery.replace}
    if channel is None:
        centre = CentreAgent(
            config=config,
            clock=clock,
            open_container=hub,
            user_data=lambda: fetch_user_data(config.metadata),
            engine=engine,
            nvflare=nvflare,
            backups=backups,
        )
        control.serve({**centre.commands.handlers(), **shared})
        work(centre.work, clock)
        work(centre.answer, clock)
        work(centre.answer_rest, clock)
        run(centre.tick, clock)
    else:
        ledgers = KeptLedgers(record=account("record"), work=config.work, answers=config.answers, clock=clock)
        hospital = HospitalAgent(
            config=config,
            clock=clock,
            channel=channel,
            data=account("data"),
            policy=account("policy"),
            record=account("record"),
            user_data=lambda: fetch_user_data(config.metadata),
            engine=engine,
            nvflare=nvflare,
            backups=backups,
            ledgers=ledgers,
        )
        control.serve({**hospital.handlers(), **shared})
        boxes = BoxKeeper(
            engine=DockerEngine(),
            clock=clock,
            work=config.work,
            answers=config.answers,
            box_input=BoxInput(config.data, config.input),
            images=config.boxes,
        )
        work(boxes.turn, clock)
        work(ledgers.turn, clock)
        scoring = Scoring(
            data=account("data"),
            scores=account("scores"),
            engine=DockerEngine(),
            clock=clock,
            folder=config.score,
            memory=config.agent / "scores.json",
            models=lambda: hospital.models.held,
            catalogue=hospital.known_data_sets,
            note=hospital.note,
            limits=lambda: house_limits(config.answers / ANSWERS, Width.own()),
        )
        work(scoring.turn, clock)
        try:
            run(hospital.tick, clock)
        except EngineLostError as error:
            sys.exit(f"container-server: {error}: restarting to find the engine's socket again")


if __name__ == "__main__":
    main()
