"""The few calls to GitHub's REST API that delivery needs. Every list is read to its last page."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from automation.outcome import FedError, QuestionError

#: GitHub refuses a longer comment or issue body (422 "body is too long").
BODY_LIMIT = 65_536


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
        """The repository that GITHUB_REPOSITORY names, as GITHUB_TOKEN may see it: set in every job."""
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not os.environ.get(name)]
        if missing:
            raise QuestionError(
                f"{' and '.join(missing)} not set: which repository on GitHub, and as whom? In a workflow "
                "give the step `GITHUB_TOKEN: ${{ github.token }}`; on a laptop `GITHUB_TOKEN=$(gh auth "
                "token)` and GITHUB_REPOSITORY=owner/name."
            )
        url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        return cls(os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"], url=url)

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
        """The open issue whose text begins with `marker`."""
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
        """The commit of the newest deployment of `environment` that ended well."""
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
        """The full commit that a tag or branch of any public repository stands for."""
        return str(self._call("GET", f"/repos/{repository}/commits/{reference}")["sha"])

    def subject_prefix(self) -> str:
        """What the OIDC subjects of this repository begin with.

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
            found = answer.json()
            yield from found[key] if key else found
            url = answer.links.get("next", {}).get("url")

    def _call(self, method: str, path: str, **body: Any) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._send(method, path, body or None).json()
        return found

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            answer = self._client.request(method, url, json=body)
        except httpx.HTTPError as error:
            raise FedError(f"GitHub did not answer {method} {url}: {error}.") from error
        if answer.is_error:
            said = (
                answer.json().get("message")
                if "json" in answer.headers.get("content-type", "")
                else answer.text
            )
            raise FedError(
                f"GitHub refused {method} {url}: {answer.status_code} {said}. "
                + ("The job's `permissions:` do not allow this call." if answer.status_code == 403 else "")
            )
        return answer


def fit(body: str) -> str:
    """Cut `body` to what GitHub accepts, and say so."""
    if len(body) <= BODY_LIMIT:
        return body
    note = "\n\n_Cut here: GitHub takes no longer text. The run's summary has all of it._"
    return body[: BODY_LIMIT - len(note)] + note
