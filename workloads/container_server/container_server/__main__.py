"""`python -m container_server`: the service of this VM, as its environment says."""

import os
import signal
import sys
import threading
from collections.abc import Callable

from azure.identity import ManagedIdentityCredential

from container_server import control, health
from container_server.azure_storage import open_account
from container_server.centre.agent import CentreAgent
from container_server.centre.metadata import fetch_user_data
from container_server.clock import Clock, SystemClock
from container_server.config import Config, ConfigError
from container_server.engine import DockerEngine
from container_server.hospital.agent import EngineLostError, HospitalAgent
from container_server.hospital.box import BoxKeeper
from container_server.hospital.box_input import BoxInput
from container_server.log import say
from container_server.nvflare_cli import Nvflare


def run(tick: Callable[[], float], clock: Clock) -> None:
    """Turn forever."""
    while True:
        pause = tick()
        health.beat()
        clock.sleep(pause)


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
    if config.role == "centre":
        centre = CentreAgent(
            config=config,
            clock=clock,
            open_container=hub,
            user_data=lambda: fetch_user_data(config.metadata),
            engine=engine,
            nvflare=nvflare,
        )
        control.serve(centre.commands.handlers())
        work(centre.work, clock)
        run(centre.tick, clock)
    else:
        own = open_account(config.own_storage, credential)
        hospital = HospitalAgent(
            config=config,
            clock=clock,
            channel=hub(f"client-{config.party}"),
            data=own("data"),
            policy=own("policy"),
            record=own("record"),
            engine=engine,
            nvflare=nvflare,
        )
        control.serve(hospital.handlers())
        boxes = BoxKeeper(
            engine=DockerEngine(),
            clock=clock,
            work=config.work,
            answers=config.answers,
            box_input=BoxInput(config.data, config.input),
            images=config.boxes,
        )
        work(boxes.turn, clock)
        try:
            run(hospital.tick, clock)
        except EngineLostError as error:
            sys.exit(f"container-server: {error}: restarting to find the engine's socket again")


if __name__ == "__main__":
    main()
