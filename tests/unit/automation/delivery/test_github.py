"""One comment, one issue, and the commit that runs: whatever page of a list they stand on."""

from collections.abc import Iterator
from typing import Any

import pytest

from automation.delivery.github import BODY_LIMIT, GitHub
from automation.ui.outcome import FedError, QuestionError
from tests.unit.support.delivery_stub import Answers, Asked, Stub, serving

PAGE = 100


class Repository:
    """What GitHub knows of example/fed, in lists of 100 a page as the real one gives them."""

    def __init__(self) -> None:
        self.url = ""
        self.lists: dict[str, list[dict[str, Any]]] = {}

    def answer(self, asked: Asked) -> Answers:
        path = asked.path.removeprefix("/repos/example/fed")
        if asked.method == "GET" and path in self.lists:
            page = int(asked.query.get("page", "1"))
            found = self.lists[path][(page - 1) * PAGE : page * PAGE]
            more = len(self.lists[path]) > page * PAGE
            link = f'<{self.url}{asked.path}?per_page=100&page={page + 1}>; rel="next"'
            body: Any = {"workflow_runs": found} if path.endswith("/runs") else found
            return Answers(body=body, headers={"link": link} if more else {})
        if asked.method in {"POST", "PATCH"}:
            return Answers(body={"html_url": f"https://github.example{path}"})
        return Answers(status=404, body={"message": "Not Found"})


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def stub(repository: Repository) -> Iterator[Stub]:
    with serving(repository.answer) as stub:
        repository.url = stub.url
        yield stub


@pytest.fixture
def github(stub: Stub) -> GitHub:
    return GitHub("example/fed", "token", url=stub.url)


def comments(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "body": f"comment {number}"} for number in range(count)]


def test_the_first_comment_is_created(github: GitHub, stub: Stub, repository: Repository) -> None:
    repository.lists["/issues/7/comments"] = comments(3)
    github.write_comment(7, "<!-- mark -->", "text")
    (made,) = stub.calls("POST")
    assert (made.path, made.body) == ("/repos/example/fed/issues/7/comments", {"body": "<!-- mark -->\ntext"})
    assert made.headers["authorization"] == "Bearer token"


def test_the_comment_is_updated_also_when_it_stands_on_the_third_page(
    github: GitHub, stub: Stub, repository: Repository
) -> None:
    repository.lists["/issues/7/comments"] = [*comments(240), {"id": 999, "body": "<!-- mark -->\nold"}]
    github.write_comment(7, "<!-- mark -->", "new")
    assert stub.calls("POST") == []
    (made,) = stub.calls("PATCH")
    assert made.path == "/repos/example/fed/issues/comments/999"


def test_a_quotation_of_the_mark_is_not_our_comment(
    github: GitHub, stub: Stub, repository: Repository
) -> None:
    repository.lists["/issues/7/comments"] = [{"id": 1, "body": "> <!-- mark -->\nsomebody quotes"}]
    github.write_comment(7, "<!-- mark -->", "new")
    assert len(stub.calls("POST")) == 1


def test_a_text_that_github_would_refuse_is_cut_and_says_so(
    github: GitHub, stub: Stub, repository: Repository
) -> None:
    repository.lists["/issues/7/comments"] = []
    github.write_comment(7, "<!-- mark -->", "x" * 70_000)
    (made,) = stub.calls("POST")
    assert len(made.body["body"]) == BODY_LIMIT
    assert "Cut here" in made.body["body"]


def test_one_issue_is_opened_then_updated_then_closed(
    github: GitHub, stub: Stub, repository: Repository
) -> None:
    repository.lists["/issues"] = [{"number": 3, "body": "<!-- mark -->", "pull_request": {}}]
    github.write_issue("<!-- mark -->", "Drift", "text")
    assert stub.calls("POST")[-1].path == "/repos/example/fed/issues"

    repository.lists["/issues"].append({"number": 4, "body": "<!-- mark -->\ntext"})
    github.write_issue("<!-- mark -->", "Drift", "more")
    assert stub.calls("PATCH")[-1].path == "/repos/example/fed/issues/4"

    github.close_issue("<!-- mark -->", "no more drift")
    assert stub.calls("POST")[-1].body == {"body": "no more drift"}
    assert stub.calls("PATCH")[-1].body == {"state": "closed", "state_reason": "completed"}


def test_nothing_is_closed_when_no_issue_is_open(github: GitHub, stub: Stub, repository: Repository) -> None:
    repository.lists["/issues"] = []
    assert github.close_issue("<!-- mark -->", "no more drift") is None
    assert stub.calls("PATCH") == []


def test_the_deployed_commit_is_the_newest_that_ended_well(github: GitHub, repository: Repository) -> None:
    repository.lists["/deployments"] = [{"id": 3, "sha": "c"}, {"id": 2, "sha": "b"}, {"id": 1, "sha": "a"}]
    repository.lists["/deployments/3/statuses"] = [{"state": "failure"}, {"state": "in_progress"}]
    repository.lists["/deployments/2/statuses"] = [{"state": "inactive"}, {"state": "success"}]
    repository.lists["/deployments/1/statuses"] = [{"state": "success"}]
    assert github.deployed_commit("mvp") == "b"


def test_a_stack_that_was_never_deployed_has_no_commit(github: GitHub, repository: Repository) -> None:
    repository.lists["/deployments"] = []
    assert github.deployed_commit("prod") is None


@pytest.mark.parametrize(("conclusion", "well"), [("success", True), ("failure", False), (None, False)])
def test_only_a_run_that_ended_in_success_ended_well(
    github: GitHub, repository: Repository, conclusion: str | None, *, well: bool
) -> None:
    repository.lists["/actions/workflows/main.yml/runs"] = [{"conclusion": conclusion}]
    assert github.ended_well("main.yml", "abc") is well


def test_a_refusal_says_what_github_said(github: GitHub) -> None:
    with pytest.raises(FedError, match=r"404 Not Found"):
        github.deployed_commit("mvp")


def test_without_a_repository_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(FedError, match=r"gh auth token"):
        GitHub.from_environment()


SECRET = "ghs_veryhidden"  # noqa: S105 nobody's  # pragma: allowlist secret


@pytest.fixture
def job(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("GITHUB_API_URL", stub.url)
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/fed")
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    return monkeypatch


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "{} ", " {}"])
def test_what_stands_around_a_token_is_not_sent(
    job: pytest.MonkeyPatch, stub: Stub, repository: Repository, around: str
) -> None:
    repository.lists["/deployments"] = []
    job.setenv("GITHUB_TOKEN", around.format(SECRET))
    assert GitHub.from_environment().deployed_commit("mvp") is None
    assert stub.asked[-1].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("inside", ["\r", "\n", " ", "\x07", "\x7f", "\u00e9", "\udcff"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(job: pytest.MonkeyPatch, inside: str) -> None:
    job.setenv("GITHUB_TOKEN", f"{SECRET}{inside}{SECRET}")
    with pytest.raises(QuestionError, match="GITHUB_TOKEN holds a character") as refusal:
        GitHub.from_environment()
    assert SECRET not in str(refusal.value)


def test_a_token_of_blanks_is_no_token(job: pytest.MonkeyPatch) -> None:
    job.setenv("GITHUB_TOKEN", " \n")
    with pytest.raises(QuestionError, match="GITHUB_TOKEN not set"):
        GitHub.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [("GITHUB_REPOSITORY", "fed"), ("GITHUB_REPOSITORY", "a/b\x01"), ("GITHUB_API_URL", "http://a:port")],
)
def test_an_address_that_is_none_is_refused(job: pytest.MonkeyPatch, name: str, value: str) -> None:
    job.setenv(name, value)
    with pytest.raises(QuestionError, match=name):
        GitHub.from_environment()


@pytest.mark.parametrize(
    "answers",
    [
        Answers(raw=b"<html>Sign in</html>"),
        Answers(raw=b""),
        Answers(body="text"),
        Answers(body={"message": "an object"}),
        Answers(body=["no object"]),
        Answers(status=301, body={"message": "Moved Permanently"}),
    ],
    ids=str,
)
def test_an_answer_that_is_no_list_is_told_and_not_taken_for_an_empty_one(answers: Answers) -> None:
    with serving(lambda _: answers) as stub, pytest.raises(FedError, match=r"GitHub (answered|refused) GET"):
        GitHub("example/fed", "token", url=stub.url).deployed_commit("mvp")


@pytest.mark.parametrize(
    "answers", [Answers(raw=b"<html>"), Answers(raw=b""), Answers(body=[]), Answers(body={})], ids=str
)
def test_an_answer_without_what_was_asked_for_is_told(answers: Answers) -> None:
    with (
        serving(lambda _: answers) as stub,
        pytest.raises(FedError, match=r"GitHub(.s answer lacks| answered)"),
    ):
        GitHub("example/fed", "token", url=stub.url).commit_of("actions/checkout", "v1")


@pytest.mark.parametrize(
    "answers",
    [Answers(status=422, body=["too long"]), Answers(status=422, raw=b"too long"), Answers(status=422)],
    ids=str,
)
def test_a_refusal_in_any_form_is_told(answers: Answers) -> None:
    with serving(lambda _: answers) as stub, pytest.raises(FedError, match=r"GitHub refused GET .*: 422"):
        GitHub("example/fed", "token", url=stub.url).deployed_commit("mvp")
