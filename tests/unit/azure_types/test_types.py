"""`azure_types`: what Azure publishes is written once, and nothing of ours is needed to read it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from azure_types.overrides import TYPES
from azure_types.roles import BUILT_IN
from azure_types.security_rules import DEFAULT_RULES
from clone import paths
from emulator.record import code_state

ROOT = paths.REPOSITORY
PACKAGE = ROOT / "azure_types"


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [ROOT / file for file in listed if not file.startswith("tests/") and (ROOT / file).exists()]


@pytest.mark.parametrize("fact", [*BUILT_IN.values(), *(f'"{rule.name}"' for rule in DEFAULT_RULES)])
def test_a_fact_of_azure_is_written_once(fact: str, texts: dict[Path, str]) -> None:
    assert [file.parent for file, text in texts.items() if fact in text] == [PACKAGE]


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    return {file: file.read_text(encoding="utf-8") for file in sources()}


MADE_AND_NOTHING_ELSE = (
    "managedidentity:FederatedIdentityCredential",
    "monitor:ActionGroup",
    "monitor:DataCollectionRule",
    "monitor:DataCollectionRuleAssociation",
    "monitor:DiagnosticSetting",
    "monitor:MetricAlert",
    "monitor:ScheduledQueryRule",
)
"""Types that the program makes and of which no command and no proof says anything more."""
USES = ("components", "infra", "policies")
"""Who makes a type, or has a rule about it, because it wants to."""


@pytest.mark.parametrize("kind", MADE_AND_NOTHING_ELSE)
def test_a_type_has_to_be_in_two_places(kind: str, texts: dict[Path, str]) -> None:
    """Its row, and its rules in the emulator; tests/emulator/plugins/test_engine.py deploys each of them."""
    found = re.compile(rf"\b{kind.rpartition(':')[2]}s?\b", re.IGNORECASE)
    assert f"azure-native:{kind}" in {type_.pulumi_type for type_ in TYPES}
    named = {file.relative_to(ROOT) for file, text in texts.items() if found.search(text)}
    rooms = {str(file.parent) for file in named if file.parts[0] not in USES}
    assert rooms == {"azure_types", "emulator/arm"}


def test_the_package_depends_on_nothing_of_ours() -> None:
    """Each module is imported where only this one package of the repository can be."""
    script = f"""
import importlib, importlib.util, pathlib, sys
ours = {{path.stem for path in pathlib.Path({str(ROOT)!r}).iterdir()}} - {{"azure_types"}}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ours:
            raise ImportError(name)
sys.path.insert(0, {str(ROOT)!r})
sys.meta_path.insert(0, Block())
for file in pathlib.Path({str(PACKAGE)!r}).rglob("*.py"):
    name = ".".join(file.relative_to({str(ROOT)!r}).with_suffix("").parts).removesuffix(".__init__")
    if not name.endswith("__main__"):
        importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_changed_description_asks_for_a_new_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = tmp_path / "azure_types" / "types.json"
    described.parent.mkdir()
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    before = code_state()
    described.write_text("{}")
    assert code_state() != before
