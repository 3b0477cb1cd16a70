"""Docker's credential helper for Azure registries: an Entra identity's token instead of a stored password.

Docker asks it by registry name when it needs a credential, so it also serves a registry that a deployment
made a moment ago. The protocol is Docker's (https://github.com/docker/docker-credential-helpers), the
exchange Azure's (https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md).
"""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import IO

import httpx
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential

NAME = "fed-entra"
SCOPE = "https://containerregistry.azure.net/.default"
#: What Azure expects as the user name of a token.
NO_NAME = "00000000-0000-0000-0000-000000000000"
#: A registry knows who may push minutes after it was made, and refuses until then:
#: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
PATIENCE_SECONDS = 300.0
PAUSE_SECONDS = 10.0
NOT_YET = frozenset({401, 403})
#: Docker knows by this text that it should go on without a credential.
NOT_FOUND = "credentials not found in native keychain"


def install(folder: Path) -> dict[str, str]:
    """Write a Docker configuration that knows no other credential into `folder`; the variables that select
    it.
    """
    root = Path(__file__).resolve().parents[2]
    helper = folder / f"docker-credential-{NAME}"
    module = "automation.delivery.docker_credentials"
    helper.write_text(
        "#!/bin/sh\n"
        f'PYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m {module} "$@"\n'
    )
    helper.chmod(0o700)
    (folder / "config.json").write_text(json.dumps({"credsStore": NAME}))
    return {
        "DOCKER_CONFIG": str(folder),
        "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
    }


def main(arguments: list[str], asked: IO[str], credential: TokenCredential | None = None) -> int:
    """Answer one question of Docker's on stdout; the exit code is 0 when there is an answer."""
    if arguments == ["list"]:
        print("{}")
        return 0
    server = asked.read().strip().removeprefix("https://").split("/", 1)[0]
    if arguments != ["get"] or not server.endswith(".azurecr.io"):
        print(NOT_FOUND)
        return 1
    try:
        secret = _exchange(server, credential or DefaultAzureCredential())
    except (httpx.HTTPError, ClientAuthenticationError, KeyError, ValueError) as error:
        print(f"{server} gave no token: {error}", file=sys.stderr)
        print(f"{server} gave no token; see above")
        return 1
    print(json.dumps({"ServerURL": server, "Username": NO_NAME, "Secret": secret}))
    return 0


def _exchange(server: str, credential: TokenCredential) -> str:
    form = {
        "grant_type": "access_token",
        "service": server,
        "access_token": credential.get_token(SCOPE).token,
    }
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = httpx.post(f"https://{server}/oauth2/exchange", data=form, timeout=30)
        if answer.status_code not in NOT_YET or time.monotonic() > until:
            break
        print(f"{server} refuses the token ({answer.status_code}); asking again", file=sys.stderr)
        time.sleep(PAUSE_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["refresh_token"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
