"""The registered models: what there is, and which version people are to use.

MLflow holds them (https://mlflow.org/docs/latest/api_reference/rest-api.html). That a run passed its gates
made it a version; that it is the one to use (the alias `champion`) is said by a person, by name. That is a
tag of the version, and a line of this service's log, which no job can write.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, get_args

import requests

from container_server import answers, questions
from container_server.clock import Clock
from container_server.control import Handler, WrongQuestionError
from container_server.errors import ContainerServerError, RefusedInputError, TransientError
from container_server.log import say

CHAMPION = "champion"
_A_PAGE = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TAGS: tuple[answers.ModelTag, ...] = get_args(answers.ModelTag)
_LONGEST = 120
_ARTIFACTS = "mlflow-artifacts:/"


class Registry(Protocol):
    """MLflow's REST API."""

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """One request below /api/2.0/mlflow/. Raises RefusedInputError or TransientError."""

    def put(self, path: str, content: bytes) -> None:
        """Write an artifact. Raises TransientError."""


def artifacts_of(registry: Registry, name: str, version: str) -> str:
    """The folder of a version's files, as MLflow's artifact proxy calls it."""
    found = registry.ask("GET", "model-versions/get", name=name, version=version)["model_version"]
    return _plain(found["source"]).removeprefix(_ARTIFACTS)


class Hospitals(Protocol):
    """Who is given what was promoted (champions.py)."""

    def promoted(self, name: str, version: str, job_id: str, by: str) -> None:
        """Hospitals are to have this version. Raises ContainerServerError where they cannot use it."""

    def withdrawn(self, name: str, version: str | None = None) -> None:
        """Hospitals are to have no version of a model, or not this one."""


class Mlflow:
    """Registry over HTTP, on this VM's loopback, signed in with `password`."""

    _BASE = "http://127.0.0.1:5000/api/2.0/mlflow"
    _FILES = "http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts"
    _SECONDS = 20

    def __init__(self, password: str) -> None:
        self._signed = {"Authorization": f"Bearer {password}"}

    def put(self, path: str, content: bytes) -> None:
        """See Registry."""
        try:
            requests.put(
                f"{self._FILES}/{path}", data=content, headers=self._signed, timeout=self._SECONDS
            ).raise_for_status()
        except requests.RequestException as error:
            raise TransientError(f"MLflow takes no file: {type(error).__name__}") from error

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """See Registry."""
        query, body_sent = (content, None) if method == "GET" else (None, content)
        try:
            answer = requests.request(
                method,
                f"{self._BASE}/{path}",
                params=query,
                json=body_sent,
                headers=self._signed,
                timeout=self._SECONDS,
            )
            body: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise TransientError(f"MLflow does not answer: {type(error).__name__}") from error
        if answer.status_code >= requests.codes.server_error:
            raise TransientError(f"MLflow: {str(body.get('message', answer.status_code))[:200]}")
        if not answer.ok:
            raise RefusedInputError(f"MLflow: {str(body.get('message', answer.status_code))[:200]}")
        return body


class Models:
    """What `fedctl models`, `promote` and `retire` do; `changed` is called after the last two."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        hospitals: Hospitals,
        changed: Callable[[], None] = lambda: None,
    ):
        self._registry = registry
        self._changed = changed
        self._hospitals = hospitals
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """Command -> handler."""
        return {"models": self.listing, "promote": self.promote, "retire": self.retire}

    def listing(self, arguments: Mapping[str, Any]) -> answers.ModelVersions:
        """All versions, newest first; with `name` those of one model, each with the run's metrics.

        `skip` leaves the first ones out: it goes on with an answer that was cut.
        """
        asked = questions.ListModels.read(arguments)
        return {"models": self.registered(asked.name, asked.skip or 0)}

    def registered(self, name: str | None = None, skip: int = 0) -> list[answers.ModelVersion]:
        """The versions, as `listing` answers."""
        found = self._versions({"filter": f"name='{_name(name)}'"} if name else {})
        found = sorted(found, key=lambda one: (str(one["name"]), -int(one["version"])))[skip:]
        champions = {model: self._champion(model) for model in {str(one["name"]) for one in found}}
        return [self._row(one, champions, with_metrics=bool(name)) for one in found]

    def promote(self, arguments: Mapping[str, Any]) -> answers.Promoted:
        """Make a version the one to use, for hospitals too. One that was retired has to stay so.

        `no_scores` says why hospitals cannot have it, where they cannot.
        """
        asked = questions.Promote.read(arguments)
        name, version = self._version(asked.name, asked.version)
        tags = self._tags(name, version)
        if "retired_at" in tags:
            raise RefusedInputError(f"{name} version {version} was retired. Fix: train again")
        before = self._champion(name)
        self._registry.ask("POST", "registered-models/alias", name=name, alias=CHAMPION, version=version)
        self._note(name, version, "promoted", by=asked.by)
        answer: answers.Promoted = {"name": name, "version": version, "champion": True, "before": before}
        if why := self._give(name, version, tags, _plain(asked.by)):
            answer["no_scores"] = why
        return answer

    def retire(self, arguments: Mapping[str, Any]) -> answers.Promoted:
        """Take a version out of use: it keeps its place, and can never be the one to use again.

        From the hospitals first, champion or not: whoever is killed on the way is asked again.
        """
        asked = questions.Retire.read(arguments)
        name, version = self._version(asked.name, asked.version)
        self._hospitals.withdrawn(name, version)
        if self._champion(name) == version:
            self._registry.ask("DELETE", "registered-models/alias", name=name, alias=CHAMPION)
        self._note(name, version, "retired", by=asked.by, why=asked.why)
        return {"name": name, "version": version, "champion": False}

    def _give(self, name: str, version: str, tags: Mapping[str, str], by: str) -> str:
        """Give a version to the hospitals; why they cannot have it, empty where they can."""
        try:
            self._hospitals.promoted(name, version, tags.get("job_id", ""), by)
        except ContainerServerError as error:
            self._hospitals.withdrawn(name)
            return str(error)[:300]
        return ""

    def trained_by(self, name: str, version: str) -> str:
        """The id of the job that left a version. Raises RefusedInputError, WrongQuestionError."""
        name, version = self._version(name, version)
        tags = self._tags(name, version)
        if "job_id" not in tags:
            raise RefusedInputError(f"{name} version {version} is of no job of this federation")
        return tags["job_id"]

    def _note(self, name: str, version: str, what: str, **words: str) -> None:
        moment = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        plain = {word: _plain(text) for word, text in words.items()}
        for key, value in {**plain, "at": moment}.items():
            self._registry.ask(
                "POST", "model-versions/set-tag", name=name, version=version, key=f"{what}_{key}", value=value
            )
        say(f"model {what}", model=name, version=version, **plain)
        self._changed()

    def _versions(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._registry.ask("GET", "model-versions/search", **wanted, **page, max_results=_A_PAGE)
            found += answer.get("model_versions", [])
            if not answer.get("next_page_token"):
                return found
            page = {"page_token": answer["next_page_token"]}

    def _version(self, name: str, version: str) -> tuple[str, str]:
        name = _name(name)
        if not version.isdecimal():
            raise WrongQuestionError(f"{_plain(version)} is no version of a model: they are whole numbers")
        self._tags(name, version)
        return name, version

    def _tags(self, name: str, version: str) -> dict[str, str]:
        found = self._registry.ask("GET", "model-versions/get", name=name, version=version)["model_version"]
        return {str(tag["key"]): _plain(tag["value"]) for tag in found.get("tags", [])}

    def _champion(self, name: str) -> str | None:
        found = self._registry.ask("GET", "registered-models/get", name=name)["registered_model"]
        versions = [str(one["version"]) for one in found.get("aliases", []) if one["alias"] == CHAMPION]
        return versions[0] if versions else None

    def _row(
        self, version: Mapping[str, Any], champions: Mapping[str, str | None], *, with_metrics: bool
    ) -> answers.ModelVersion:
        name, number = str(version["name"]), str(version["version"])
        tags = {str(tag["key"]): _plain(tag["value"]) for tag in version.get("tags", [])}
        row: answers.ModelVersion = {
            "name": name,
            "version": number,
            "champion": champions[name] == number,
            "made": int(version["creation_timestamp"]) / 1000,
            "artifacts": _plain(version["source"]).removeprefix(_ARTIFACTS),
        }
        for key in _TAGS:
            if key in tags:
                row[key] = tags[key]
        if with_metrics:
            row["metrics"] = self._metrics(str(version["run_id"]))
        return row

    def _metrics(self, run: str) -> dict[str, float]:
        found = self._registry.ask("GET", "runs/get", run_id=run)["run"]["data"].get("metrics", [])
        return {_plain(metric["key"]): float(metric["value"]) for metric in found}


def _name(text: Any) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise WrongQuestionError(f"{_plain(text)} is no name of a model: it is that of its job")
    return text


def _plain(text: Any) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))[:_LONGEST]
