"""What people are told in time: the codes that a container server logs, by the alert that finds them.

The container server's own list is `container_server/notices.py`: its image has no part of this package.
"""

from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["jobs", "approvals", "data", "certificates", "machines"]

CODES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "jobs": ("job-ended", "job-failed", "job-waits", "image-waits"),
    "approvals": ("enrolment-waits", "renewal-waits", "return-waits"),
    "data": ("data-refused",),
    "certificates": ("certificate-ends",),
    "machines": ("hospital-silent", "disk-full", "backup-missing", "restore-waits"),
}

OF_CENTRE: Final[tuple[Kind, ...]] = ("jobs", "approvals", "certificates", "machines")
OF_HOSPITAL: Final[tuple[Kind, ...]] = ("jobs", "data", "certificates", "machines")

DESCRIPTIONS: Final[Mapping[Kind, str]] = {
    "jobs": "A job has ended or failed, or waits for this hospital's approval",
    "approvals": "A hospital waits for a person: to enrol, to renew its certificate, or to come back",
    "data": "Data in the hospital's account are refused, or could not be taken",
    "certificates": "A certificate ends within 30 days",
    "machines": "A hospital is silent, a disk nearly full, nothing is backed up, or a VM waits for a backup",
}
