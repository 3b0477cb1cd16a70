"""How the security groups of a deployment differ from the ones that the statement of intent asks for.

This decides nothing: reachability is computed from the groups alone. It turns "Azure's default rule decided"
into "rule deny-outbound-everything-else is gone".
"""

from collections.abc import Iterator

from automation.verify.reach.network import Group, Rule, Topology
from federation.security_rules import SecurityRule, security_rules
from federation.stated import Intent


def fixes(topology: Topology, intent: Intent) -> dict[str, str]:
    """Return what to do about each security group that differs, by its name."""
    subnets = {(place.party, place.subnet) for f in intent.flows for place in (f.source, f.destination)}
    found: dict[str, str] = {}
    for subnet in topology.subnets.values():
        party = topology.network_of(subnet).party
        for owner, part in subnets:
            if owner != party or part is None or not subnet.name.endswith(f"-{party}-{part}"):
                continue
            differences = (
                list(_differences(subnet.group, security_rules(intent, party, part)))
                if subnet.group
                else [f"give {subnet.name} its security group back"]
            )
            if differences:
                found[subnet.group.name if subnet.group else subnet.name] = "; ".join(differences)
    return found


def _differences(group: Group, meant: tuple[SecurityRule, ...]) -> Iterator[str]:
    own = {r.name: r for r in group.rules if not r.default}
    for rule in meant:
        if rule.name not in own:
            yield f"restore rule {rule.name} in {group.name}"
        elif changed := list(_changes(own[rule.name], rule)):
            yield f"set {', '.join(changed)} in rule {rule.name} of {group.name}"
    for name in own.keys() - {rule.name for rule in meant}:
        yield f"delete rule {name} from {group.name}"


def _changes(rule: Rule, meant: SecurityRule) -> Iterator[str]:
    for what, found, wanted in (
        ("access", rule.access, meant.access),
        ("direction", rule.direction, meant.direction),
        ("priority", str(rule.priority), str(meant.priority)),
        ("protocol", rule.protocol, meant.protocol),
        ("sources", set(rule.source.text.split(", ")), set(meant.sources)),
        ("destinations", set(rule.destination.text.split(", ")), set(meant.destinations)),
        ("ports", set(rule.port_text.split(", ")), set(meant.ports)),
    ):
        if found != wanted:
            yield f"{what} to {wanted if isinstance(wanted, str) else ', '.join(sorted(wanted))}"
    if not rule.any_source_port:
        yield "source ports to *"
