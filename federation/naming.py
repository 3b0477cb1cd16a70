"""Every name, in the abbreviations of the Cloud Adoption Framework and within Azure's limits.

`<type>-fed-<stack>-<party>[-<part>]`; names that are unique in all of Azure carry a random suffix and no
hyphens (`unique_name`). A name outside Azure's rule is a mistake in the program and raises ValueError here,
not in Azure.

Abbreviations:
https://learn.microsoft.com/azure/cloud-adoption-framework/ready/azure-best-practices/resource-abbreviations
Rules: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

PROJECT: Final = "fed"
#: Letters and digits of the random suffix of names that are unique in all of Azure.
SUFFIX_LENGTH: Final = 6

_ROLE_ASSIGNMENTS: Final = UUID("5b0f1c6e-6f6e-4f0a-9d52-2f3c4c1f8a10")


@dataclass(frozen=True)
class Rule:
    """Azure's rule for a name: lengths and the pattern of the whole name."""

    shortest: int
    longest: int
    pattern: str


_NETWORK = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_WORDS = r"[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]"

RULES: Final[dict[str, Rule]] = {
    "ag": Rule(1, 260, _WORDS),
    "alert": Rule(1, 260, _WORDS),
    "bkpol": Rule(3, 150, r"[A-Za-z][A-Za-z0-9-]+[A-Za-z0-9]"),
    "budget": Rule(1, 63, r"[A-Za-z0-9_-]+"),
    "bvault": Rule(2, 50, r"[A-Za-z][A-Za-z0-9-]+"),
    "dcr": Rule(3, 64, _WORDS),
    "dcra": Rule(1, 64, _WORDS),
    "des": Rule(1, 80, r"[A-Za-z0-9_-]+"),
    "diag": Rule(1, 260, _WORDS),
    "disk": Rule(1, 80, r"[A-Za-z0-9_-]+"),
    "flow": Rule(1, 80, _NETWORK),
    "id": Rule(3, 128, r"[A-Za-z0-9][A-Za-z0-9_-]+"),
    "key": Rule(1, 127, r"[A-Za-z0-9-]+"),
    "link": Rule(1, 80, _NETWORK),
    "lock": Rule(1, 90, r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]"),
    "log": Rule(4, 63, r"[A-Za-z0-9][A-Za-z0-9-]+[A-Za-z0-9]"),
    "ng": Rule(1, 80, _NETWORK),
    "nic": Rule(1, 80, _NETWORK),
    "nsg": Rule(1, 80, _NETWORK),
    "peer": Rule(1, 80, _NETWORK),
    "pep": Rule(2, 64, _NETWORK),
    "pip": Rule(1, 80, _NETWORK),
    "rg": Rule(1, 90, r"[\w._()-]*[\w_()-]"),
    "rt": Rule(1, 80, _NETWORK),
    "snet": Rule(1, 80, _NETWORK),
    "vm": Rule(1, 64, r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"),
    "vnet": Rule(2, 64, _NETWORK),
}

#: Names that are unique in all of Azure.
UNIQUE_RULES: Final[dict[str, Rule]] = {
    "cr": Rule(5, 50, r"[a-z0-9]+"),
    "kv": Rule(3, 24, r"[a-z][a-z0-9]+"),
    "st": Rule(3, 24, r"[a-z0-9]+"),
}

_CONTAINER: Final = Rule(3, 63, r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of one party's resources in one stack."""

    stack: str
    party: str

    def label(self, word: str, part: str = "") -> str:
        """Return the name in Pulumi alone of what has none in Azure: a component, a provider, a record."""
        return "-".join(filter(None, (word, PROJECT, self.stack, self.party, part)))

    def of(self, kind: str, part: str = "") -> str:
        """`<kind>-fed-<stack>-<party>[-<part>]`; raises ValueError when Azure would refuse it."""
        return _valid(self.label(kind, part), RULES[kind])


def unique_name(kind: str, stack: str, party: str, suffix: str, part: str = "") -> str:
    """Return a name unique in all of Azure: `<kind>fed<stack><party><part><suffix>`, the party cut to what
    fits.

    `suffix` is random (SUFFIX_LENGTH lower-case letters or digits). Names of one party that differ in `part`
    differ when their parts have the same length.
    """
    rule = UNIQUE_RULES[kind]
    head = f"{kind}{PROJECT}{stack}{party.replace('-', '')}"
    return _valid(head[: rule.longest - len(part) - len(suffix)] + part + suffix, rule)


SERVER_CONTAINER: Final = "server"
"""The centre's own container: its state, and its tables."""
INBOX_CONTAINER: Final = "inbox"
"""The centre's container into which researchers put jobs, and from which they take the answers."""
RESULTS_CONTAINER: Final = "results"
"""The centre's container with what came of each job, for researchers to read."""
QUESTIONS_CONTAINER: Final = "questions"
"""The centre's container into which operators put what they ask it, where they have a door."""
ANSWERS_CONTAINER: Final = "answers"
"""The centre's container with its answers, for operators to read."""

DATA_CONTAINER: Final = "data"
"""A hospital's own container: its patients' data, which its VM may read."""
POLICY_CONTAINER: Final = "policy"
"""A hospital's own container: its officers' answers to jobs, which its VM may read."""
RECORD_CONTAINER: Final = "record"
"""A hospital's own container: which jobs asked to run there and what was answered; its VM writes it."""
BACKUP_CONTAINER: Final = "backup"
"""Every party's own container: archives of its VM's state, encrypted to a key that is not in Azure."""
SCORE_FOLDER: Final = "score/"
"""Below it in `data` a hospital's people put tables that a model is asked about (hospital/scoring.py)."""
SCORES_CONTAINER: Final = "scores"
"""A hospital's own container: what a model says of patients that its people asked about; its VM writes it."""
HOSPITAL_CONTAINERS: Final = (
    DATA_CONTAINER,
    POLICY_CONTAINER,
    RECORD_CONTAINER,
    SCORES_CONTAINER,
    BACKUP_CONTAINER,
)
CENTRE_CONTAINERS: Final = (SERVER_CONTAINER, INBOX_CONTAINER, RESULTS_CONTAINER, BACKUP_CONTAINER)
OPERATORS_CONTAINERS: Final = (QUESTIONS_CONTAINER, ANSWERS_CONTAINER)
"""The centre's, where its door has operators."""


def client_container(hospital: str) -> str:
    """Return the container at the centre through which one hospital and the centre talk."""
    return _valid(f"client-{hospital}", _CONTAINER)


def role_assignment_name(*identity: str) -> str:
    """Return the GUID of a role assignment, the same in every run.

    Made from words that are known at plan time (subscription, party, resource, role), never from an Azure id:
    an unknown name would make every preview show a replacement.
    """
    return str(uuid5(_ROLE_ASSIGNMENTS, "|".join(identity)))


def _valid(name: str, rule: Rule) -> str:
    if not rule.shortest <= len(name) <= rule.longest or not re.fullmatch(rule.pattern, name):
        raise ValueError(
            f"{name!r} is no name Azure takes: {rule.shortest} to {rule.longest} characters matching "
            f"{rule.pattern}"
        )
    return name
