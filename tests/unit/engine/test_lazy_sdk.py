"""A program sees the SDK's packages as they are, whether all of a package was imported or one class."""

import json
import subprocess
import sys
from typing import Any

import pytest

from clone import paths
from engine.lazy_sdk import defining

ENGINE = paths.REPOSITORY / "engine"
LAZY = f"import sys; sys.path.insert(0, {str(ENGINE)!r}); import lazy_sdk; "
LAZY += "sys.meta_path.insert(0, lazy_sdk.Finder()); "
NAMES = "sorted((name, getattr(value, '__module__', '')) for name, value in {}.items() if name[0] != '_')"


def run(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", ["storage", "managedidentity", "privatedns"])
def test_every_name_is_the_one_of_the_whole_package(package: str) -> None:
    prepare = f"import json; from pulumi_azure_native import {package} as package; package.__name__; "
    whole = run(prepare + f"print(json.dumps({NAMES.format('vars(package)')}))")
    names = [name for name, _ in whole]
    lazily = f"{{name: getattr(package, name) for name in {names!r}}}"
    assert run(LAZY + prepare + f"print(json.dumps({NAMES.format(lazily)}))") == whole


def test_a_class_brings_its_own_module_only() -> None:
    code = (
        "import json; from pulumi_azure_native import network as n; n.VirtualNetwork; n.SecurityRuleArgs; "
        "print(json.dumps([name for name in sys.modules if name.startswith(f'{n.__name__}.')]))"
    )
    brought = {name.rpartition(".")[2] for name in run(LAZY + code)}
    assert brought == {"_enums", "_inputs", "outputs", "virtual_network"}


def test_a_star_brings_everything() -> None:
    star = "import json; from pulumi_azure_native.storage import *; print(json.dumps(sorted(dir())))"
    assert set(run(star)) <= set(run(LAZY + star))


def test_an_unknown_name_is_unknown() -> None:
    code = (
        "import json; from pulumi_azure_native import storage; print(json.dumps(hasattr(storage, 'Nothing')))"
    )
    assert run(LAZY + code) is False


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("VirtualNetwork", "virtual_network"),
        ("VirtualNetworkInitArgs", "virtual_network"),
        ("VirtualNetworkPeeringArgs", "virtual_network_peering"),
        ("GetVirtualNetworkResult", "get_virtual_network"),
        ("get_virtual_network_output", "get_virtual_network"),
        ("Subnet", None),
    ],
)
def test_a_name_says_where_it_is_defined(name: str, module: str | None) -> None:
    available = {"virtual_network", "virtual_network_peering", "get_virtual_network"}
    assert defining(name, available) == module
