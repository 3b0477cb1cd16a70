"""The few calls to GitHub's REST API that delivery needs. Every list is read to its last page."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx

from automation.ui.outcome import FedError, QuestionError

#: GitHub refuses a longer comment or issue body (422 "body is too long").
BODY_LIMIT = 65_536
#: What a token is made of: visible ASCII. Anything else an HTTP header cannot carry.
TOKEN = re.compile(r"[!-~]+")
#: So much of an answer that is not understood.
SHOWN = 200
Content = TypeVar("Content", dict[str, Any], list[Any])
REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


class Told(dict[str, Any]):
    """An object in an answer of GitHub's; what it lacks is told by name."""

    def __missing__(self, key: str) -> Any:
        raise FedError(
            f"GitHub's answer lacks `{key}`: this is not the API that fed knows. GITHUB_API_URL names it."
        )


class GitHub:
    """One repository, as the workflow's own token may see it.

    Raises FedError from every call that GitHub refuses, with what it said.
    """

    def __init__(self, repository: str, token: str, *, url: str = "https://api.github.com") -> None:
        self.repository = repository
        self._client = httpx.Client(
            base_url=url,
            timeout=30,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )

    @classmethod
    def from_environment(cls) -> "GitHub":
        """Return the repository that GITHUB_REPOSITORY names, as GITHUB_TOKEN may see it: set in
        every job.
        """
        found = {name: os.environ.get(name, "").strip() for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN")}
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise QuestionError(
                f"{' and '.join(missing)} not set: which repository on GitHub, and as whom? In a workflow "
                "give the step `GITHUB_TOKEN: ${{ github.token }}`; on a laptop `GITHUB_TOKEN=$(gh auth "
                "token)` and GITHUB_REPOSITORY=owner/name."
            )
        repository, token = found.values()
        if not REPOSITORY.fullmatch(repository):
            raise QuestionError(f"GITHUB_REPOSITORY is {repository!r}; GitHub's names are like owner/name.")
        if not TOKEN.fullmatch(token):
            raise QuestionError(
                "GITHUB_TOKEN holds a character that no token has (a space, a line's end or a letter outside "
                "ASCII), so GitHub cannot be asked with it. It is not shown here. Set it again: "
                "GITHUB_TOKEN=$(gh auth token)."
            )
        url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        try:
            return cls(repository, token, url=url)
        except httpx.InvalidURL as error:
            raise QuestionError(f"GITHUB_API_URL is {url!r}, which is no address: {error}.") from error

    def write_comment(self, number: int, marker: str, body: str) -> str:
        """Write the one comment of a pull request that begins with `marker`, and return its address."""
        text = fit(f"{marker}\n{body}")
        for comment in self._pages(f"/repos/{self.repository}/issues/{number}/comments"):
            if str(comment["body"]).startswith(marker):
                path = f"/repos/{self.repository}/issues/comments/{comment['id']}"
                return str(self._call("PATCH", path, body=text)["html_url"])
        return str(
            self._call("POST", f"/repos/{self.repository}/issues/{number}/comments", body=text)["html_url"]
        )

    def open_issue(self, marker: str) -> Mapping[str, Any] | None:
        """Return the open issue whose text begins with `marker`."""
        for issue in self._pages(f"/repos/{self.repository}/issues", state="open"):
            if "pull_request" not in issue and str(issue["body"] or "").startswith(marker):
                return issue
        return None

    def write_issue(self, marker: str, title: str, body: str) -> str:
        """Open, or update, the one open issue whose text begins with `marker`; return its address."""
        text = fit(f"{marker}\n{body}")
        found = self.open_issue(marker)
        if found:
            return str(self._call("PATCH", self._issue(found), title=title, body=text)["html_url"])
        return str(self._call("POST", f"/repos/{self.repository}/issues", title=title, body=text)["html_url"])

    def close_issue(self, marker: str, reason: str) -> str | None:
        """Close the open issue whose text begins with `marker`, saying why; return its address, or None."""
        found = self.open_issue(marker)
        if not found:
            return None
        self._call("POST", f"{self._issue(found)}/comments", body=reason)
        return str(
            self._call("PATCH", self._issue(found), state="closed", state_reason="completed")["html_url"]
        )

    def deployed_commit(self, environment: str) -> str | None:
        """Return the commit of the newest deployment of `environment` that ended well."""
        for deployment in self._pages(f"/repos/{self.repository}/deployments", environment=environment):
            statuses = self._pages(f"/repos/{self.repository}/deployments/{deployment['id']}/statuses")
            if any(status["state"] == "success" for status in statuses):
                return str(deployment["sha"])
        return None

    def ended_well(self, workflow: str, commit: str) -> bool:
        """Tell whether a run of `workflow` (its file name) for `commit` on main ended in success."""
        runs = self._pages(
            f"/repos/{self.repository}/actions/workflows/{workflow}/runs",
            "workflow_runs",
            head_sha=commit,
            branch="main",
            status="success",
        )
        return any(run["conclusion"] == "success" for run in runs)

    def commit_of(self, repository: str, reference: str) -> str:
        """Return the full commit that a tag or branch of any public repository stands for."""
        return str(self._call("GET", f"/repos/{repository}/commits/{reference}")["sha"])

    def subject_prefix(self) -> str:
        """Return what the OIDC subjects of this repository begin with.

        Repositories made or renamed since July 2026 get immutable subjects with numbers in them, so the
        prefix must be asked for and never built from names.
        """
        answer = self._call("GET", f"/repos/{self.repository}/actions/oidc/customization/sub")
        return str(answer.get("sub_claim_prefix") or f"repo:{self.repository}")

    def _issue(self, issue: Mapping[str, Any]) -> str:
        return f"/repos/{self.repository}/issues/{issue['number']}"

    def _pages(self, path: str, key: str | None = None, **query: str) -> Iterator[Mapping[str, Any]]:
        url: str | None = str(httpx.URL(path, params={**query, "per_page": "100"}))
        while url:
            answer = self._send("GET", url)
            found: object = Told(_content(answer, dict))[key] if key else _content(answer, list)
            yield from _objects(answer, found)
            url = answer.links.get("next", {}).get("url")

    def _call(self, method: str, path: str, **body: Any) -> Mapping[str, Any]:
        return Told(_content(self._send(method, path, body or None), dict))

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            answer = self._client.request(method, url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FedError(f"GitHub did not answer {method} {url}: {error}.") from error
        if not answer.is_success:
            raise FedError(
                f"GitHub refused {method} {url}: {answer.status_code} {_said(answer)}. "
                + ("The job's `permissions:` do not allow this call." if answer.status_code == 403 else "")
            )
        return answer


def _said(answer: httpx.Response) -> str:
    """Why GitHub refused, in its own words."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:SHOWN]


def _content(answer: httpx.Response, kind: type[Content]) -> Content:
    """Return the JSON of an answer; a proxy's page or an empty body is told, and never read as "nothing
    there".
    """
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise FedError(
            f"GitHub answered {answer.request.method} {answer.request.url} with {answer.status_code}, but "
            f"not with the JSON that its API promises: {answer.text[:SHOWN]!r}. Something else may have "
            "answered (a proxy, a login page), or GITHUB_API_URL is not the API's address."
        )
    return found


def _objects(answer: httpx.Response, found: object) -> list[Told]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FedError(
            f"GitHub answered {answer.request.method} {answer.request.url} with something else than a list "
            "of objects: this is not the API that fed knows. GITHUB_API_URL names it."
        )
    return [Told(one) for one in found]


def fit(body: str) -> str:
    """Cut `body` to what GitHub accepts, and say so."""
    if len(body) <= BODY_LIMIT:
        return body
    note = "\n\n_Cut here: GitHub takes no longer text. The run's summary has all of it._"
    return body[: BODY_LIMIT - len(note)] + note
