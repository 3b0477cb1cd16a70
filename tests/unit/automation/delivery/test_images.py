"""Images travel by digest; Resource Manager is asked to its end: every page, and until an operation is
over.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from typer.testing import CliRunner

from automation.commands.images import app
from automation.delivery import images, promotion
from automation.hospitals.stack_file import StackFile
from automation.stacks import arm as arm_client
from automation.stacks.arm import Arm, Endpoint
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from clone import paths
from components.boot import IMAGES
from federation.values import VM_IMAGES
from infra.settings import STACK_FILE
from tests.unit.support.delivery_stub import Answers, Asked, Stub, serving

ROOT = paths.REPOSITORY
DIGEST = f"sha256:{'a' * 64}"
GROUPS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries"
SOURCE, TARGET = f"{GROUPS}/crsource", f"{GROUPS}/crtarget"


class Credential:
    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("entra", 0)


@contextmanager
def azure(answer: Callable[[Asked], Answers]) -> Iterator[tuple[Arm, Stub]]:
    with serving(answer) as stub:
        yield Arm(Endpoint(url=stub.url, credential=Credential())), stub


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def test_a_list_is_read_to_its_last_page() -> None:
    def answer(asked: Asked) -> Answers:
        page = int(asked.query.get("page", "1"))
        host = asked.headers["host"]
        following = f"http://{host}/list?page={page + 1}" if page < 3 else None
        return Answers(body={"value": [{"name": page}], "nextLink": following})

    with azure(answer) as (arm, stub):
        found = arm.get("/list", "2024-01-01")
        assert [entry["name"] for entry in found.body["value"]] == [1, 2, 3]
        assert stub.asked[0].query == {"api-version": "2024-01-01"}
        assert {one.headers["authorization"] for one in stub.asked} == {"Bearer entra"}


def test_a_list_of_which_a_page_is_refused_is_not_taken_for_whole() -> None:
    def answer(asked: Asked) -> Answers:
        if "page" in asked.query:
            return Answers(status=403, body=error("AuthorizationFailed"))
        following = f"http://{asked.headers['host']}/list?page=2"
        return Answers(body={"value": [{"name": 1}], "nextLink": following})

    with azure(answer) as (arm, _):
        assert arm.get("/list", "2024-01-01").is_error


def test_an_operation_is_waited_for_where_azure_says() -> None:
    polls = iter(
        [Answers(status=202), Answers(status=202), Answers(status=200, body={"properties": {"done": True}})]
    )

    def answer(asked: Asked) -> Answers:
        if asked.method == "POST":
            where = {"location": "/operations/7?api-version=x", "retry-after": "0"}
            return Answers(status=202, headers=where)
        found = next(polls)
        found.headers = {"retry-after": "0"}
        return found

    with azure(answer) as (arm, stub):
        assert arm.post("/thing/act", "2024-01-01", {"a": 1}).body == {"properties": {"done": True}}
        assert [one.path for one in stub.asked] == ["/thing/act", *["/operations/7"] * 3]
        assert stub.asked[0].body == {"a": 1}


@pytest.mark.parametrize("outcome", ["Succeeded", "Failed", "Canceled"])
def test_an_operation_with_a_status_of_its_own_is_waited_for(outcome: str) -> None:
    states = iter(["InProgress", "Running", outcome])

    def answer(asked: Asked) -> Answers:
        if asked.method == "POST":
            return Answers(status=202, headers={"azure-asyncoperation": "/operations/7", "retry-after": "0"})
        status = next(states)
        body = {"status": status} | (error("ImportFailed") if status == "Failed" else {})
        return Answers(body=body, headers={"retry-after": "0"})

    with azure(answer) as (arm, _):
        found = arm.post("/thing/act", "2024-01-01", {})
        assert found.body["status"] == outcome
        assert found.is_error is (outcome != "Succeeded")


@pytest.mark.parametrize("passing", [408, 429, 500, 502, 503, 504])
def test_azure_that_is_busy_is_asked_again(passing: int) -> None:
    states = iter([passing, passing, 200])
    with azure(lambda _: Answers(status=next(states), body={"name": "x"}, headers={"retry-after": "0"})) as (
        arm,
        _,
    ):
        assert arm.get("/thing", "2024-01-01").body == {"name": "x"}


def test_an_action_that_may_have_been_done_is_not_asked_for_again() -> None:
    with azure(lambda _: Answers(status=500, headers={"retry-after": "0"})) as (arm, stub):
        assert arm.post("/thing/act", "2024-01-01", {}).is_error
        assert len(stub.asked) == 1


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("DELETE", 2), ("POST", 1)])
def test_a_question_whose_answer_was_lost_is_asked_again(
    method: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_client, "PAUSES", (0.0,))
    times = 0

    def lost_at_first(request: httpx.Request) -> httpx.Response:
        nonlocal times
        times += 1
        if times == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(200, json={})

    with azure(lambda _: Answers()) as (arm, _):
        arm._client = httpx.Client(transport=httpx.MockTransport(lost_at_first), base_url="http://azure")
        asking: dict[str, Callable[[str, str], Any]] = {
            "GET": arm.get,
            "DELETE": arm.delete,
            "POST": partial(arm.post, body={}),
        }
        with pytest.raises(FedError, match="did not answer POST") if asked == 1 else nullcontext():
            asking[method]("/thing", "2024-01-01")
    assert times == asked


def test_an_image_is_imported_by_digest_and_never_over_another() -> None:
    with azure(lambda _: Answers(status=200)) as (arm, stub):
        assert images.import_image(arm, SOURCE, TARGET, "fl-server", DIGEST) is True
    (asked,) = stub.asked
    assert asked.path == f"{TARGET}/importImage"
    assert asked.body == {
        "source": {"resourceId": SOURCE, "sourceImage": f"fl-server@{DIGEST}"},
        "targetTags": [f"fl-server:sha256-{'a' * 64}"],
        "mode": "NoForce",
    }


def test_an_image_that_is_already_there_is_not_imported_again() -> None:
    with azure(lambda _: Answers(status=409, body=error("Conflict", "Tag already exists"))) as (arm, _):
        assert images.import_image(arm, SOURCE, TARGET, "fl-server", DIGEST) is False


def test_an_import_that_azure_refuses_stops_with_what_it_said() -> None:
    with (
        azure(lambda _: Answers(status=400, body=error("ManifestNotFound", "not in the source"))) as (arm, _),
        pytest.raises(FedError, match=r"ManifestNotFound: not in the source.*Nothing was deployed"),
    ):
        images.import_image(arm, SOURCE, TARGET, "fl-server", DIGEST)


def registries(*names: str) -> Answers:
    found = [
        {"id": f"{GROUPS}/{name}", "name": name, "properties": {"loginServer": f"{name}.azurecr.io"}}
        for name in names
    ]
    return Answers(body={"value": found})


def test_a_stacks_registry_is_found_in_its_group() -> None:
    with azure(lambda _: registries("crfeddevabc")) as (arm, _):
        assert images.registry_of(arm, "s", "g") == (f"{GROUPS}/crfeddevabc", "crfeddevabc.azurecr.io")
    with azure(lambda _: registries()) as (arm, _):
        assert images.registry_of(arm, "s", "g") is None
    with azure(lambda _: Answers(status=404, body=error("ResourceGroupNotFound"))) as (arm, _):
        assert images.registry_of(arm, "s", "g") is None


@pytest.mark.parametrize(
    "answer", [registries("a", "b"), Answers(status=403, body=error("AuthorizationFailed"))]
)
def test_an_unclear_registry_is_not_guessed(answer: Answers) -> None:
    with azure(lambda _: answer) as (arm, _), pytest.raises(FedError):
        images.registry_of(arm, "s", "g")


def test_a_reference_without_a_digest_is_refused() -> None:
    assert images.from_reference(f"cr.azurecr.io/mlflow:dev@{DIGEST}") == ("cr.azurecr.io", "mlflow", DIGEST)
    with pytest.raises(FedError, match=r"no digest"):
        images.from_reference("cr.azurecr.io/mlflow:dev")


@pytest.mark.parametrize("text", ["", "[]", '{"images": {}}', '{"stack": 1}'])
def test_a_file_that_names_no_images_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text(text)
    with pytest.raises(FedError, match=r"fed images list STACK --json"):
        images.read(tmp_path / "images.json")


def test_what_is_listed_can_be_read_back(tmp_path: Path) -> None:
    listed = images.Images(
        stack="dev",
        registry=SOURCE,
        login_server="crsource.azurecr.io",
        images=PINS,
        commit="abc",
    )
    (tmp_path / "images.json").write_text(json.dumps(json.loads(listed.model_dump_json())))
    assert images.read(tmp_path / "images.json") == listed
    assert listed.reference("mlflow") == f"crsource.azurecr.io/mlflow@{PINS['mlflow']}"


@pytest.mark.parametrize(
    "named", [{}, {"mlflow": DIGEST}, {**dict.fromkeys(IMAGES, DIGEST), "mlflow": "latest"}]
)
def test_a_file_that_leaves_an_image_or_its_digest_out_is_refused(
    named: dict[str, str], tmp_path: Path
) -> None:
    listed = images.Images(stack="dev", registry=SOURCE, login_server="cr.azurecr.io", images=named)
    (tmp_path / "images.json").write_text(listed.model_dump_json())
    with pytest.raises(QuestionError, match=r"does not name exactly the images.*mlflow"):
        images.read(tmp_path / "images.json")


def test_a_box_may_be_among_the_images(tmp_path: Path) -> None:
    named = {**dict.fromkeys(IMAGES, DIGEST), "box-tabular": DIGEST}
    listed = images.Images(stack="dev", registry=SOURCE, login_server="cr.azurecr.io", images=named)
    (tmp_path / "images.json").write_text(listed.model_dump_json())
    assert images.read(tmp_path / "images.json").images == named


def test_the_settings_ask_for_the_images_that_are_built() -> None:
    assert set(VM_IMAGES) == set(IMAGES)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in ROOT.glob("Pulumi.*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "infra").mkdir()
    (tmp_path / STACK_FILE).write_text((ROOT / STACK_FILE).read_text())
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    return tmp_path


PINS = {name: f"sha256:{digit * 64}" for name, digit in zip(sorted(IMAGES), "1234", strict=True)}


def azure_with_registries(asked: Asked) -> Answers:
    return Answers(status=200) if asked.method == "POST" else registries("crofthestack")


def test_what_is_pinned_comes_from_the_released_images(clone: Path) -> None:
    with azure(azure_with_registries) as (arm, stub):
        promotion.bring("mvp", PINS, On.AZURE, arm)
    listing, *imports = stub.asked
    assert "/30000000-0000-4000-8000-000000000000/resourceGroups/rg-fed-mvp-centre/" in listing.path
    assert len(imports) == len(IMAGES)
    for one in imports:
        assert one.path == f"{GROUPS}/crofthestack/importImage"
        assert one.body["source"]["resourceId"].endswith("/registries/crfedexample")


def test_before_the_first_deployment_there_is_nothing_to_import_into(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with azure(lambda _: Answers(status=404, body=error("ResourceGroupNotFound"))) as (arm, stub):
        promotion.bring("mvp", PINS, On.AZURE, arm)
    assert "no registry yet" in capsys.readouterr().err
    assert stub.calls("POST") == []


def test_of_a_stack_that_was_never_deployed_the_answer_is_no() -> None:
    with (
        azure(lambda _: Answers(status=404, body=error("ResourceGroupNotFound"))) as (arm, _),
        pytest.raises(RefusedError, match=r"deploy it first \(\./fed up dev\)"),
    ):
        promotion.images_of("dev", arm, {})


def test_prod_imports_nothing_that_mvp_does_not_pin(clone: Path) -> None:
    with pytest.raises(RefusedError, match="never ran in mvp"):
        promotion.pin("prod", PINS)
    with azure(azure_with_registries) as (arm, stub), pytest.raises(RefusedError, match="never ran in mvp"):
        promotion.bring("prod", PINS, On.AZURE, arm)
    assert stub.asked == []
    promotion.pin("mvp", PINS).save()
    with azure(azure_with_registries) as (arm, stub):
        promotion.bring("prod", PINS, On.AZURE, arm)
    assert len(stub.calls("POST")) == len(IMAGES)


def test_prod_gets_what_mvp_pins_by_the_command(clone: Path) -> None:
    promotion.pin("mvp", PINS).save()
    promoting = ["promote", "prod", "--from", "mvp", "--on", "azure"]
    with azure(azure_with_registries) as (arm, stub), pytest.MonkeyPatch.context() as patch:
        patch.setattr("automation.stacks.arm.resource_manager", lambda _: arm)
        done = CliRunner().invoke(app, promoting, catch_exceptions=False)
    assert "Pinned in Pulumi.prod.yaml" in done.output
    assert len(stub.calls("POST")) == len(IMAGES)
    assert StackFile(clone / "Pulumi.prod.yaml").digests() == PINS


@pytest.mark.parametrize(
    ("stack", "digests", "text"),
    [
        ("mvp", {"mlflow": DIGEST}, "runs exactly the images"),
        ("mvp", {**PINS, "other": DIGEST}, "runs exactly the images"),
        ("dev", PINS, "builds its images itself"),
    ],
)
def test_a_stack_pins_all_its_images_or_none(
    clone: Path, stack: str, digests: dict[str, str], text: str
) -> None:
    with pytest.raises(QuestionError, match=text):
        promotion.pin(stack, digests)


def test_what_dev_built_is_listed_by_digest_from_its_state(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "git_commit", lambda: "abc")
    built = [
        {"type": promotion.BUILT, "outputs": {"repoDigest": f"crx.azurecr.io/{name}@{digest}"}}
        for name, digest in PINS.items()
    ]
    with azure(azure_with_registries) as (arm, _):
        listed = promotion.images_of("dev", arm, {"resources": [*built, {"type": "other"}]})
        assert listed.images == PINS
        assert listed.reference("mlflow") == f"crofthestack.azurecr.io/mlflow@{PINS['mlflow']}"
        with pytest.raises(FedError, match="neither pins nor built"):
            promotion.images_of("dev", arm, {"resources": []})


def test_images_are_built_and_saved_with_docker_by_digest(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:/usr/bin:/bin")
    promotion.build("fl-server")
    listed = images.Images(
        stack="dev", registry=SOURCE, login_server="cr.azurecr.io", images={"mlflow": DIGEST}
    )
    promotion.save(listed, tmp_path / "out")
    assert calls.read_text().splitlines() == [
        "build --platform linux/amd64 --file workloads/fl_server/Dockerfile --tag local/fl-server workloads",
        f"pull cr.azurecr.io/mlflow@{DIGEST}",
        f"tag cr.azurecr.io/mlflow@{DIGEST} local/mlflow",
        f"save --output {tmp_path}/out/mlflow.tar local/mlflow",
    ]
    calls.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    promotion.save(listed, Path("out"))
    assert f"save --output {tmp_path}/elsewhere/out/mlflow.tar local/mlflow" in calls.read_text()
    with pytest.raises(QuestionError, match=r"calls cannot be made a folder"):
        promotion.save(listed, calls)
    docker.write_text("#!/bin/sh\nexit 7\n")
    with pytest.raises(FedError, match="ended with 7"):
        promotion.build("fl-server")
