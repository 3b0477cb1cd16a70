"""What the VM's compose file says, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from container_server.errors import ContainerServerError

ROOT = Path("/var/lib/fed")


class ConfigError(ContainerServerError):
    """The environment does not describe a container server."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one VM. Folders are those of the data disk."""

    role: Literal["centre", "hospital"]
    party: str
    environment: str
    fl_host: str
    fl_port: int
    hub_storage: str
    own_storage: str
    client_id: str
    approval: Literal["auto", "manual"]
    root_fingerprint: str | None
    image: str
    revision: str
    metadata: str
    agent: Path
    images: Path
    """Which images run here, and what is ordered instead (images.py)."""
    kit: Path
    work: Path
    data: Path
    input: Path
    """What of the data the box of a job sees."""
    jobs: Path
    """The jobs of the image."""
    score: Path
    """Where the container in which a model predicts finds the model, and this service."""
    answers: Path
    """What the hospital said about jobs; the client reads it and cannot write it."""
    curation: Path
    """What MLflow's container shares with this one, for the making of tables and nothing else."""
    sign_in: Path
    """Who may use MLflow; its container may only read it (centre/sign_in.py)."""
    tracking: Path
    """What fl-server, which may only read it, signs in to MLflow with."""
    request_days: int
    """How long a job waits for the hospitals' answers."""
    smallest_cell: int
    """Fewest patients that a number in the dashboards' tables may stand for."""
    curation_image: str
    """The image whose rules make those tables: with another they are made again."""
    boxes: Sequence[str]
    """`name@sha256:...` of the boxes with libraries that hospitals' VMs have (docs/adr/0098)."""
    server_work: Path
    """The server's volume (`work`) as its own container sees it."""

    @property
    def project(self) -> str:
        """NVFlare's project: one per environment, so that a kit of one is worth nothing in another."""
        return f"fed-{self.environment}"

    @property
    def fl_target(self) -> str:
        """host:port that clients dial."""
        return f"{self.fl_host}:{self.fl_port}"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Config":
        """From environment variables. Raises ConfigError naming all that are missing or wrong."""
        needed = ["FED_ROLE", "FED_PARTY", "FED_ENVIRONMENT", "FED_FL_HOST", "FED_FL_PORT", "FED_HUB_STORAGE"]
        needed += ["AZURE_CLIENT_ID"]
        if environment.get("FED_ROLE") == "hospital":
            needed.append("FED_OWN_STORAGE")
        mistakes = [f"{name} is not set" for name in needed if not environment.get(name)]
        if environment.get("FED_ROLE") not in ("centre", "hospital", None):
            mistakes.append(f"FED_ROLE is {environment['FED_ROLE']!r}, expected centre or hospital")
        if environment.get("FED_APPROVAL", "manual") not in ("auto", "manual"):
            mistakes.append(f"FED_APPROVAL is {environment['FED_APPROVAL']!r}, expected auto or manual")
        for name in ("FED_SMALLEST_CELL", "FED_REQUEST_DAYS"):
            if not environment.get(name, "1").isdigit():
                mistakes.append(f"{name} is {environment[name]!r}, expected a number")
        if mistakes:
            raise ConfigError("; ".join(mistakes) + ": see /opt/fed/compose.yaml on the VM")
        root = Path(environment.get("FED_ROOT", str(ROOT)))
        return cls(
            role=cast(Literal["centre", "hospital"], environment["FED_ROLE"]),
            party=environment["FED_PARTY"],
            environment=environment["FED_ENVIRONMENT"],
            fl_host=environment["FED_FL_HOST"],
            fl_port=int(environment["FED_FL_PORT"]),
            hub_storage=environment["FED_HUB_STORAGE"],
            own_storage=environment.get("FED_OWN_STORAGE", ""),
            client_id=environment["AZURE_CLIENT_ID"],
            approval=cast(Literal["auto", "manual"], environment.get("FED_APPROVAL", "manual")),
            root_fingerprint=environment.get("FED_ROOT_FINGERPRINT") or None,
            image=environment.get("FED_IMAGE", "unknown"),
            revision=environment.get("FED_REVISION", "unknown"),
            metadata=environment.get("FED_METADATA", "http://169.254.169.254"),
            agent=root / "agent",
            images=root / "images",
            kit=root / "kit",
            work=root / "work",
            data=root / "data",
            input=root / "input",
            jobs=Path(environment.get("FED_JOBS", "/app/jobs")),
            score=root / "score",
            answers=root / "answers",
            boxes=environment.get("FED_BOXES", "").split(),
            curation=root / "curation",
            sign_in=root / "sign-in",
            tracking=root / "tracking",
            curation_image=environment.get("FED_CURATION_IMAGE", "unknown"),
            request_days=int(environment.get("FED_REQUEST_DAYS", "14")),
            smallest_cell=int(environment.get("FED_SMALLEST_CELL", "10")),
            server_work=Path("/var/lib/fl"),
        )
