"""`stride serve-client`: the Stride of a client in Python, `stride.Client.local()`, which has started this process."""

import json
import os
import time
from contextlib import suppress

from service.commands.joining import running_or_joined
from service.commands.local_service import WorkerCommand
from service.settings import Settings

CHECK_EVERY_S = 0.2


def serve_client(settings: Settings, *, parent: int) -> None:
    """Run everything, or workers beside what runs already, until the client's process has ended, in whatever way, or SIGTERM.

    Prints one line of JSON, with the API's URL, when it answers. Raises StrideError, with nothing left running.
    """
    with suppress(KeyboardInterrupt), running_or_joined(settings, WorkerCommand()) as service:
        print(json.dumps({"url": service.url}), flush=True)
        while os.getppid() == parent:
            time.sleep(CHECK_EVERY_S)
            service.restart_what_ended()
