"""Addresses of this machine at which nobody listens."""

import socket
from contextlib import ExitStack


def free_addresses(count):
    """So many addresses HOST:PORT, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
