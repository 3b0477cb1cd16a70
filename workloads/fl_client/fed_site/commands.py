"""What the server may ask of this hospital's client, and of a job's process: to run jobs and to end them.

NVFlare's client also reads files for the server (`cat`, `head`, `tail`, `grep` and `ls` of any path, in the
process that holds the data and the key), and looks into authorization.json only when the request itself asks
for that (`_dispatch_request` of nvflare/private/fed/client/admin.py and shell_cmd.py, 2.9). So a server whose
keys are in wrong hands would need no job at all. A job's process takes commands of its own, on the channel
CLIENT_COMMAND (command_agent.py, 2.9), from whoever may send to it: what it has counted, its errors, the
level of its log.
"""

from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import AdminCommandNames
from nvflare.private.defs import TrainingTopic
from nvflare.private.fed.client.admin_commands import AdminCommands
from nvflare.private.fed.client.client_req_processors import ClientRequestProcessors

TOPICS = frozenset(
    {
        TrainingTopic.CHECK_RESOURCE,
        TrainingTopic.CANCEL_RESOURCE,
        TrainingTopic.DEPLOY,
        TrainingTopic.START_JOB,
        TrainingTopic.NOTIFY_JOB_STATUS,
        TrainingTopic.ABORT,
        TrainingTopic.ABORT_TASK,
        TrainingTopic.DELETE_RUN,
    }
)


JOB_COMMANDS = frozenset({AdminCommandNames.ABORT, AdminCommandNames.ABORT_TASK})
"""What the client itself tells a job's process."""


class JobCommandsAlone(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """Site component: NVFlare's client makes it before it takes requests; any other is an invalid one."""

    def __init__(self) -> None:
        super().__init__()
        every = ClientRequestProcessors.request_processors
        every[:] = [processor for processor in every if TOPICS.issuperset(processor.get_topics())]


def end_alone() -> None:
    """Have a job's process take no command but to end itself or its task; any other is an invalid one."""
    every = AdminCommands.commands
    every[:] = [command for command in every if command.get_command_name() in JOB_COMMANDS]
