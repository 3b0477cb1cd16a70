"""The statement of intent: who may open which port to whom, touch which data, resolve which name.

Derived from the settings alone, in one place, for a security officer to read and sign. The security rules
(`security_rules.py`) and role assignments are built from it, and `./fed verify` compares deployments with it.
What is not listed here is denied.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

from federation.naming import (
    ANSWERS_CONTAINER,
    BACKUP_CONTAINER,
    DATA_CONTAINER,
    INBOX_CONTAINER,
    POLICY_CONTAINER,
    QUESTIONS_CONTAINER,
    RECORD_CONTAINER,
    RESULTS_CONTAINER,
    SCORES_CONTAINER,
    SERVER_CONTAINER,
    client_container,
)
from federation.parties import CentreParty, Federation, HospitalParty, Party
from federation.settings import Network
from federation.stated import (
    BACKUP_WHY,
    INTERNET,
    METADATA_ADDRESS,
    PLATFORM_ADDRESS,
    Door,
    Flow,
    Grant,
    Holder,
    Intent,
    Keeper,
    Place,
    Protocol,
    Resolution,
    Role,
    Service,
    Window,
)


def intent(federation: Federation) -> Intent:
    """Return the statement of intent of one federation."""
    centre = federation.centre
    keeper: Keeper = "organisation" if federation.settings.network.dns == "existing" else "party"
    return Intent(
        flows=(
            *_centre_flows(centre),
            *(flow for hospital in federation.hospitals for flow in _hospital_flows(hospital, centre)),
        ),
        grants=(
            *_centre_grants(centre),
            *(grant for hospital in federation.hospitals for grant in _hospital_grants(hospital, centre)),
        ),
        resolutions=(
            *_centre_resolutions(centre, keeper),
            *(
                name
                for hospital in federation.hospitals
                for name in _hospital_resolutions(hospital, centre, keeper)
            ),
        ),
        doors=(*_doors(centre), *(door for hospital in federation.hospitals for door in _doors(hospital))),
        windows=tuple(window for hospital in federation.hospitals for window in _windows(hospital)),
        zones=_zones(federation.settings.network) if keeper == "organisation" else None,
    )


def _zones(network: Network) -> tuple[str, ...]:
    return (network.zones.blob, network.zones.registry) if network.zones else ()


def server(centre: CentreParty) -> Place:
    """Return the centre's VM."""
    return _host(centre, "server", centre.plan.server, "server")


def machine(hospital: HospitalParty) -> Place:
    """Return a hospital's VM."""
    return _host(hospital, "machine", hospital.plan.machine, "workload")


def _centre_flows(centre: CentreParty) -> Iterator[Flow]:
    source = server(centre)
    yield _https(
        "own-storage", source, _storage(centre), "the server keeps its state and reads what hospitals wrote"
    )
    for destination in _registry(centre):
        yield _https("own-registry", source, destination, "the server pulls its images")
    yield from _common_flows(centre, source)
    if centre.gateway:
        # Answers reach Power BI over a channel of the host that hosts the gateway, not over this network:
        # https://learn.microsoft.com/data-integration/vnet/data-gateway-architecture
        yield _https(
            "dashboards",
            Place(
                party=centre.name, part="gateway", prefix=str(centre.plan.gateway_subnet), subnet="gateway"
            ),
            _storage(centre),
            "Power BI's VNet data gateway reads the tables of the dashboards",
        )


def _hospital_flows(hospital: HospitalParty, centre: CentreParty) -> Iterator[Flow]:
    source = machine(hospital)
    yield Flow(
        name="federated-learning",
        source=source,
        destination=server(centre),
        protocol="Tcp",
        ports=(centre.fl_port,),
        why="NVFlare's mutually authenticated connection, opened by the hospital",
    )
    yield _https(
        "centre-storage", source, _storage(centre), "the hospital fetches its kit and settings, and reports"
    )
    for destination in _registry(centre):
        yield _https("centre-registry", source, destination, "the hospital pulls its images")
    yield _https("own-storage", source, _storage_of(hospital), "the hospital reads its own data")
    yield from _common_flows(hospital, source)


def _common_flows(party: Party, source: Place) -> Iterator[Flow]:
    if party.has_way_out:
        through = "your own firewall" if party.firewall else "the NAT gateway"
        yield Flow(
            name="internet",
            source=source,
            destination=Place(party="internet", part="any", prefix=INTERNET),
            protocol="Tcp",
            ports=(80, 443),
            why=f"package archives and Azure Monitor, through {through}, outward only",
            through=party.firewall,
        )
    names = "names, from the private zones"
    yield _platform("platform-dns", source, PLATFORM_ADDRESS, protocol="Udp", ports=(53,), why=names)
    yield _platform("platform-dns", source, PLATFORM_ADDRESS, protocol="Tcp", ports=(53,), why=names)
    agent = "the VM agent's channel to Azure"
    yield _platform("platform-agent", source, PLATFORM_ADDRESS, ports=(80, 32526), why=agent)
    tokens = "tokens of the VM's identity"
    yield _platform("platform-metadata", source, METADATA_ADDRESS, ports=(80,), why=tokens)


def _centre_grants(centre: CentreParty) -> Iterator[Grant]:
    yield _contributor(centre.name, centre.name, SERVER_CONTAINER, "the server's own state, and the tables")
    yield _contributor(centre.name, centre.name, BACKUP_CONTAINER, BACKUP_WHY)
    yield _contributor(centre.name, centre.name, INBOX_CONTAINER, "the server takes jobs and answers them")
    yield _contributor(centre.name, centre.name, RESULTS_CONTAINER, "the server writes what came of each job")
    if centre.door is not None:
        both: tuple[tuple[str, Role, str], ...] = (
            (INBOX_CONTAINER, "Storage Blob Data Contributor", "researchers send jobs and read the answers"),
            (RESULTS_CONTAINER, "Storage Blob Data Reader", "researchers read what came of their jobs"),
        )
        for container, role, why in both:
            yield _for_people(
                centre, container, role, holder="researchers", group=centre.door.people, why=why
            )
    yield from _operators_grants(centre)
    yield _puller(centre.name, centre.name)
    yield from _dashboard_grants(centre, centre, SERVER_CONTAINER)


def _operators_grants(centre: CentreParty) -> Iterator[Grant]:
    """Who asks the centre by blobs, and that its VM answers; nothing where its door has no operators."""
    if centre.operators is None:
        return
    yield _contributor(centre.name, centre.name, QUESTIONS_CONTAINER, "the server takes what operators ask")
    yield _contributor(centre.name, centre.name, ANSWERS_CONTAINER, "the server answers operators")
    both: tuple[tuple[str, Role, str], ...] = (
        (QUESTIONS_CONTAINER, "Storage Blob Data Contributor", "operators ask the centre"),
        (ANSWERS_CONTAINER, "Storage Blob Data Reader", "operators read the centre's answers"),
    )
    for container, role, why in both:
        yield _for_people(centre, container, role, holder="operators", group=centre.operators, why=why)


def _hospital_grants(hospital: HospitalParty, centre: CentreParty) -> Iterator[Grant]:
    container = client_container(hospital.name)
    yield _contributor(
        centre.name, centre.name, container, "the centre writes the desired state and the signed kit"
    )
    yield _contributor(
        hospital.name, centre.name, container, "the hospital writes its request, reports and results"
    )
    yield Grant(
        principal=hospital.name,
        owner=hospital.name,
        resource=DATA_CONTAINER,
        role="Storage Blob Data Reader",
        why="the hospital's VM reads the data it trains on and cannot change it; nobody else reads it",
    )
    yield Grant(
        principal=hospital.name,
        owner=hospital.name,
        resource=POLICY_CONTAINER,
        role="Storage Blob Data Reader",
        why="the hospital's VM reads which jobs its officers approved, and cannot change it",
    )
    yield _contributor(
        hospital.name,
        hospital.name,
        RECORD_CONTAINER,
        "the hospital's VM keeps the record of which jobs asked to run, and of the answers",
    )
    yield _contributor(
        hospital.name,
        hospital.name,
        SCORES_CONTAINER,
        "the hospital's VM writes what a model says of the patients that its people asked about",
    )
    yield _contributor(hospital.name, hospital.name, BACKUP_CONTAINER, BACKUP_WHY)
    yield _puller(hospital.name, centre.name)
    yield from _dashboard_grants(hospital, centre, container)
    yield from _people_grants(hospital)


def _people_grants(hospital: HospitalParty) -> Iterator[Grant]:
    """Yield what a hospital's people may do with its own account, through its door."""
    if hospital.door is None:
        return
    everything: tuple[tuple[Holder, str | None, str, Role, str], ...] = (
        ("people", hospital.door.people, DATA_CONTAINER, "Storage Blob Data Contributor", "upload its data"),
        (
            "people",
            hospital.door.people,
            SCORES_CONTAINER,
            "Storage Blob Data Reader",
            "read what a model says of the patients that they asked about",
        ),
        (
            "officers",
            hospital.door.officers,
            POLICY_CONTAINER,
            "Storage Blob Data Contributor",
            "say which jobs may run on its patients",
        ),
        (
            "officers",
            hospital.door.officers,
            RECORD_CONTAINER,
            "Storage Blob Data Reader",
            "read which jobs asked to run, and their code",
        ),
    )
    for holder, group, container, role, what in everything:
        if group is not None:
            yield _for_people(
                hospital, container, role, holder=holder, group=group, why=f"the hospital's {holder} {what}"
            )


def _for_people(party: Party, container: str, role: Role, *, holder: Holder, group: str, why: str) -> Grant:
    """Return what some of a party's people may do with a container of its own account."""
    return Grant(
        principal=party.name,
        owner=party.name,
        resource=container,
        role=role,
        why=why,
        holder=holder,
        group=group,
    )


def _doors(party: CentreParty | HospitalParty) -> Iterator[Door]:
    endpoint = party.door.endpoint if party.door else None
    if endpoint is not None:
        yield Door(
            owner=party.name,
            subnet_id=endpoint.subnet_id,
            address=endpoint.address,
            zone_id=endpoint.zone_id,
            why="its own people reach their own account from a network that they have already",
        )


def _windows(hospital: HospitalParty) -> Iterator[Window]:
    window = hospital.door.window if hospital.door else None
    if window is not None:
        yield Window(
            owner=hospital.name,
            address=window.address,
            until=window.until,
            why=window.reason or "the hospital's people upload data from their office",
        )


def _dashboard_grants(party: Party, centre: CentreParty, container: str) -> Iterator[Grant]:
    if party.dashboard is not None:
        yield Grant(
            principal=party.name,
            owner=centre.name,
            resource=container,
            role="Storage Blob Data Reader",
            why="the refresh of the Power BI dashboard reads its tables, nothing else in the container",
            holder="dashboard readers",
            group=party.dashboard.readers,
        )


def _centre_resolutions(centre: CentreParty, keeper: Keeper) -> Iterator[Resolution]:
    yield from _resolutions_of_centre(centre.name, centre, keeper)
    yield from _door_resolutions(centre)


def _door_resolutions(party: CentreParty | HospitalParty) -> Iterator[Resolution]:
    for door in _doors(party):
        if door.zone_id is None:
            yield Resolution(viewer=door.viewer, owner=party.name, service="blob", address=door.address)


def _hospital_resolutions(
    hospital: HospitalParty, centre: CentreParty, keeper: Keeper
) -> Iterator[Resolution]:
    yield Resolution(
        viewer=hospital.name,
        owner=hospital.name,
        service="blob",
        address=hospital.plan.storage,
        kept_by=keeper,
    )
    yield from _resolutions_of_centre(hospital.name, centre, keeper)
    yield from _door_resolutions(hospital)


def _resolutions_of_centre(viewer: str, centre: CentreParty, keeper: Keeper) -> Iterator[Resolution]:
    services: tuple[tuple[Service, IPv4Address], ...] = (
        ("blob", centre.plan.storage),
        ("registry", centre.plan.registry),
        ("registry_data", centre.plan.registry_data),
        ("fl", centre.plan.server),
    )
    for service, address in services:
        kept_by: Keeper = "party" if service == "fl" else keeper
        yield Resolution(viewer=viewer, owner=centre.name, service=service, address=address, kept_by=kept_by)


def _storage(centre: CentreParty) -> Place:
    return _host(centre, "storage", centre.plan.storage, "endpoints")


def _registry(centre: CentreParty) -> tuple[Place, Place]:
    return (
        _host(centre, "registry", centre.plan.registry, "endpoints"),
        _host(centre, "registry-data", centre.plan.registry_data, "endpoints"),
    )


def _storage_of(hospital: HospitalParty) -> Place:
    return _host(hospital, "storage", hospital.plan.storage, "workload")


def _host(party: Party, part: str, address: IPv4Address, subnet: str) -> Place:
    return Place(party=party.name, part=part, prefix=f"{address}/32", subnet=subnet)


def _https(name: str, source: Place, destination: Place, why: str) -> Flow:
    return Flow(name=name, source=source, destination=destination, protocol="Tcp", ports=(443,), why=why)


def _platform(
    name: str, source: Place, address: str, *, protocol: Protocol = "Tcp", ports: tuple[int, ...], why: str
) -> Flow:
    return Flow(
        name=name,
        source=source,
        destination=Place(party="platform", part="host", prefix=f"{address}/32"),
        protocol=protocol,
        ports=ports,
        why=why,
        enforced_by="platform",
    )


def _contributor(principal: str, owner: str, container: str, why: str) -> Grant:
    return Grant(
        principal=principal, owner=owner, resource=container, role="Storage Blob Data Contributor", why=why
    )


def _puller(principal: str, owner: str) -> Grant:
    return Grant(
        principal=principal, owner=owner, resource="registry", role="AcrPull", why="images, read only"
    )
