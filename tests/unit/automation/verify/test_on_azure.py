"""`fed verify --on azure` runs nothing of the emulator: neither to find the stack nor to read Azure."""

import subprocess
import sys

from clone import paths

ROOT = paths.REPOSITORY

SCRIPT = """
import importlib.machinery
import os
import sys

load = importlib.machinery.SourceFileLoader.get_code


def refuse(loader, name):
    if name.partition(".")[0] == "emulator" and not loader.is_package(name):  # those are docstrings
        raise ImportError(f"{name} is of the emulator")
    return load(loader, name)


importlib.machinery.SourceFileLoader.get_code = refuse
sys.path[:0] = [ROOT, f"{ROOT}/tests/unit"]

from pathlib import Path

from automation import cli
from automation.stacks import target as targets
from automation.stacks.arm import Answer
from automation.ui.options import On
from automation.verify import run, sources
from automation.verify.observed import consent
from automation.verify.report import html, picture, terminal
from federation.parties import federation
from federation.stack_file import load_stack

cli.build()
settings = load_stack(Path(ROOT), "dev")
target = targets.Target(
    name="dev", on=On.AZURE, settings=settings, engine=None, environment={}, workspace=None, emulator=None
)
where = sources.sources(target, live=True, packets=False, inside=True)
assert type(where.client).__name__ == "Arm"
assert where.consent is not None and consent.Look


class Client:
    \"\"\"Resource Manager that has one network, which nobody ordered.\"\"\"

    def get(self, path, version):
        if path.endswith("/Microsoft.Network/virtualNetworks"):
            found = {"id": f"{path}/stray", "name": "stray", "properties": {"addressSpace": {}}}
            return Answer(status=200, body={"value": [found]})
        return Answer(status=404, body={})


network = {
    "type": "azure-native:network:VirtualNetwork",
    "id": "/subscriptions/x/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/gone",
    "urn": "urn:pulumi:dev::fed::azure-native:network:VirtualNetwork::gone",
    "outputs": {"addressSpace": {"addressPrefixes": ["10.10.0.0/24"]}},
}
outcome = run.run(
    "dev",
    {"deployment": {"resources": [network]}},
    federation(settings),
    run.Sources(client=Client(), deployers=where.deployers),
)
print(html.report(outcome), terminal.tables(outcome), picture.picture(outcome.shown))
print(sorted(finding.what for finding in outcome.findings))
"""


def test_it_runs_with_the_emulator_blocked() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"ROOT = {str(ROOT)!r}\n{SCRIPT}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "virtualNetworks/stray exists and is not the program's" in done.stdout
    assert "virtualNetworks/gone is in the state and does not exist" in done.stdout
