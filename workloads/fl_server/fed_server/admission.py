"""Server component: only the certificate last approved for a hospital, or last made for the administrator,
may register.

NVFlare accepts every unexpired certificate of its root: a re-issued one does not retire the old, and there
is no revocation list. The container server writes the serials it approved to `allowed.json`; this component
compares them at each registration and cuts off, within a second, a client whose hospital is no longer
listed. An administrator's certificate is compared wherever NVFlare checks one: at registration and at login.
It also writes who is registered to `clients.json`.
"""

import threading
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.defs import IdentityChallengeKey
from nvflare.lighter.utils import load_crt_chain_bytes
from nvflare.private.defs import CellMessageHeaderKeys, ClientType
from nvflare.private.fed.utils.identity_utils import IdentityVerifier, InvalidAsserterCert

from fed_server.files import read_json, write_json
from fed_server.paths import ALLOWED, CLIENTS

CHECK_SECONDS = 1.0
HOSPITALS_ROLE = "client"
"""What `nvflare cert approve` writes into a site's certificate (subject, unstructuredName); into an
administrator's it writes `lead`."""


def refusal(allowed: Any, name: str, serial: str) -> str | None:
    """Why this certificate may not register, or None. No list means nobody was approved."""
    sites = (allowed or {}).get("sites", {})
    if name not in sites:
        return f"{name} is not an approved member"
    if sites[name] != serial:
        return f"certificate {serial} is not the one last approved for {name}"
    return None


def administrators_refusal(allowed: Any, certificate: x509.Certificate) -> str | None:
    """Why whoever has this certificate, and is no hospital, may not sign in; or None.

    A list of a container server of version 0.1 names no administrator: any of the root's may.
    """
    serial = format(certificate.serial_number, "x")
    roles = certificate.subject.get_attributes_for_oid(x509.NameOID.UNSTRUCTURED_NAME)
    if [role.value for role in roles] == [HOSPITALS_ROLE]:
        return None
    if allowed is not None and allowed.get("administrator", serial) == serial:
        return None
    return f"certificate {serial} is not the administrator's last one"


class Admission(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """See the module. `allowed` and `clients` are paths of the two files."""

    def __init__(self, allowed: str = str(ALLOWED), clients: str = str(CLIENTS)):
        super().__init__()
        self.allowed = allowed
        self.clients = clients
        self._engine: Any = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Guard registration before the first client can connect; watch from then on."""
        if event_type == EventType.SYSTEM_BOOTSTRAP:
            self._engine = fl_ctx.get_engine()
            self._guard(self._engine.server.client_manager)
            self._guard_administrator()
        elif event_type == EventType.SYSTEM_START:
            threading.Thread(target=self._watch, name="admission", daemon=True).start()

    def _guard(self, manager: Any) -> None:
        # No event carries the certificate, so the manager's own check is wrapped (NVFlare 2.9).
        check = manager.authenticated_client

        def guarded(request: Any, fl_ctx: FLContext, client_type: str) -> Any:
            if client_type != ClientType.REGULAR:  # admin sessions register on the same path
                return check(request, fl_ctx, client_type)
            name = request.get_header(CellMessageHeaderKeys.CLIENT_NAME)
            reason = self._refusal(name, request)
            if reason is None:
                return check(request, fl_ctx, client_type)
            fl_ctx.set_prop(FLContextKey.UNAUTHENTICATED, reason, sticky=False)
            self.log_warning(fl_ctx, f"refused registration: {reason}")
            return None

        manager.authenticated_client = guarded

    def _guard_administrator(self) -> None:
        # Registration and login both end here; each has a verifier of its own (NVFlare 2.9).
        verify = IdentityVerifier.verify_common_name

        def guarded(verifier: Any, *args: Any, **kwargs: Any) -> Any:
            if reason := administrators_refusal(self._allowed(), kwargs["asserter_cert"]):
                self.logger.warning(f"refused administrator: {reason}")
                raise InvalidAsserterCert(reason)
            return verify(verifier, *args, **kwargs)

        IdentityVerifier.verify_common_name = guarded

    def _refusal(self, name: str, request: Any) -> str | None:
        try:
            chain = load_crt_chain_bytes(request.payload.get(IdentityChallengeKey.CERT))
            return refusal(self._allowed(), name, format(chain[0].serial_number, "x"))
        except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
            return f"no usable certificate or list of members: {error}"

    def _allowed(self) -> Any:
        return read_json(Path(self.allowed))

    def _watch(self) -> None:
        written: Any = None
        while True:
            try:
                self._cut_off_removed()
                heard = self._heard()
                if heard != written:
                    write_json(Path(self.clients), {"heard": heard})
                    written = heard
            except Exception as error:  # the watch must outlive any one failure, and say so
                self.logger.error(f"admission watch: {type(error).__name__}: {error}")
            time.sleep(CHECK_SECONDS)

    def _heard(self) -> dict[str, int]:
        """Client -> Unix time of its last heartbeat, rounded to five seconds."""
        clients = list(self._engine.client_manager.clients.values())
        return {client.name: int(client.last_connect_time) // 5 * 5 for client in clients}

    def _cut_off_removed(self) -> None:
        members = set((self._allowed() or {}).get("sites", {}))
        manager = self._engine.server.client_manager
        connected = {client.name for client in list(manager.clients.values())}
        # NVFlare takes an unknown token's heartbeat as a client coming back: only its own list of disabled
        # clients, which survives a restart, keeps a removed one out.
        if removed := sorted(connected - members):
            self._engine.disable_clients(removed)
            self.logger.warning(f"cut off, no longer a member: {', '.join(removed)}")
        if returned := sorted(manager.disabled_clients & members):
            self._engine.enable_clients(returned)
            self.logger.info(f"a member again: {', '.join(returned)}")
