"""The controls of the platform: what each protects against, which checks prove it, where it is tested.

Every check and every policy belongs to a control, so that a difference always tells an officer which promise
it touches. `docs/security.md` tells the same from the attacker's side.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from automation.verify.facts.finding import Finding


@dataclass(frozen=True, kw_only=True)
class Control:
    """One promise: ``rules`` are the checks and policies that prove it."""

    name: str
    promise: str
    protects_against: str
    rules: frozenset[str]

    def broken_by(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the differences that touch this promise."""
        return [f for f in findings if f.rule in self.rules]


CONTROLS: Final = (
    Control(
        name="Isolation",
        promise="Each party opens exactly the connections of the statement of intent; hospitals cannot reach "
        "each other, nobody reaches into a hospital, nothing is forwarded.",
        protects_against="a compromised hospital, a curious centre",
        rules=frozenset(
            {
                "reach",
                "doors",
                "endpoint-placed",
                "packets",
                "peering-hub-only",
                "peering-flags",
                "nic-no-forwarding",
                "routes-stay-inside",
                "subnet-closed",
                "subnets-inline",
                "nsg-inbound-named",
                "nsg-outbound-named",
                "nsg-denies-rest",
            }
        ),
    ),
    Control(
        name="No public front",
        promise="No machine has a public address, and no account, registry (but dev's) or vault answers the "
        "internet.",
        protects_against="an outsider",
        rules=frozenset(
            {
                "public-front",
                "nic-no-public-ip",
                "public-ip-only-for-nat",
                "storage-closed",
                "storage-no-anonymous",
                "registry-closed",
                "vault-closed",
                "storage-has-endpoint",
            }
        ),
    ),
    Control(
        name="Least privilege",
        promise="A machine's identity reaches the containers it is meant to and no other; no key, password "
        "or token opens anything.",
        protects_against="a compromised hospital, a curious centre, a leaked state file",
        rules=frozenset(
            {
                "grants",
                "access",
                "known-roles",
                "deployers",
                "own-identity",
                "role-narrow",
                "role-for-machines",
                "role-never-on-data-account",
                "role-own-cells",
                "no-custom-role",
                "storage-no-keys",
                "registry-identities",
                "logs-identities",
                "vm-own-identity",
                "vm-no-secret",
            }
        ),
    ),
    Control(
        name="Data stay where they are",
        promise="A hospital's data stay in its account, its subscription and its region; endpoints and "
        "copies lead nowhere else.",
        protects_against="a curious centre, a mistake in the program",
        rules=frozenset(
            {
                "endpoint-target",
                "endpoint-approved",
                "storage-no-copy-out",
                "disk-closed",
                "explicit-provider",
                "party-subscription",
                "one-region",
            }
        ),
    ),
    Control(
        name="Names",
        promise="Every party resolves the names it needs to the private addresses that are meant, from zones "
        "of its own or of its organisation.",
        protects_against="an outsider, a curious centre",
        rules=frozenset({"names", "resolution", "dns-records-private", "dns-own-network"}),
    ),
    Control(
        name="Encryption",
        promise="Data are encrypted on the way and at rest; in mvp and prod with the party's own key.",
        protects_against="an outsider, a hospital that must shred its data",
        rules=frozenset(
            {
                "storage-tls",
                "storage-own-key",
                "storage-doubly-encrypted",
                "disk-own-key",
                "vm-encryption-at-host",
                "key-strength",
            }
        ),
    ),
    Control(
        name="Machines",
        promise="A machine boots what was signed, runs what the program says, and takes no password.",
        protects_against="an outsider, a compromised supply",
        rules=frozenset(
            {
                "vm-no-password",
                "vm-trusted-launch",
                "vm-extensions-known",
                "vm-image-pinned",
                "vm-image-publisher",
                "vm-disks-live-and-die",
            }
        ),
    ),
    Control(
        name="Recovery",
        promise="Neither a mistake nor an intruder can destroy data at once.",
        protects_against="a stolen operator account, a mistake",
        rules=frozenset(
            {
                "blob-recoverable",
                "vault-purge-protection",
                "storage-survives-a-zone",
                "prod-lock",
                "prod-protect",
                "lock-blocks-deletion",
                "backup-configured",
            }
        ),
    ),
    Control(
        name="Evidence",
        promise="What happens is recorded where the party itself can read it.",
        protects_against="whoever hopes to go unseen",
        rules=frozenset(
            {"diagnostics", "flow-logs", "log-retention", "record-keeps-versions", "tags", "budget"}
        ),
    ),
    Control(
        name="Consent",
        promise="Nothing left a hospital for a job whose code the hospital had not approved before, and the "
        "centre counts no answer that the hospital's record does not know.",
        protects_against="a curious centre, a malicious job",
        rules=frozenset({"consent", "images-ordered"}),
    ),
    Control(
        name="Nothing unknown",
        promise="Everything that exists is understood by these checks, and is what the program deployed.",
        protects_against="a change behind the program's back",
        rules=frozenset({"known-types", "readable", "drift", "pull-role"}),
    ),
)
