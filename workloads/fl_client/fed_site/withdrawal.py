"""Ends a job at this hospital as soon as its officers no longer approve its code, or outside their hours.

The deployer looks once, when a job arrives (consent.py). This filter, named in privacy.json, looks again at
each task that comes and before each answer leaves.
"""

import time

from nvflare.apis.filter import Filter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.fl_exception import UnsafeJobError
from nvflare.apis.shareable import Shareable

from fed_site.consent import ANSWERS, Answers, code_of


class StillApproved(Filter):  # type: ignore[misc]  # nvflare has no types
    """Lets tasks and answers by while the hospital's officers approve the job's code.

    UnsafeJobError is how NVFlare ends a job at one client (client_runner.py, 2.9). The run stops here, as was
    seen before its answer UNSAFE_JOB is sent; why it stopped is in the hospital's report.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """See Filter. Raises UnsafeJobError."""
        job_id = str(fl_ctx.get_job_id())
        code = code_of(fl_ctx.get_engine().get_workspace(), job_id)
        if objection := Answers.read(ANSWERS).objection(code, "this hospital", time.time()):
            self.logger.error(f"job {job_id} ends here: this hospital {objection}")
            raise UnsafeJobError("this hospital no longer approves the job's code")
        return shareable
