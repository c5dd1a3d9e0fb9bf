"""How both servers are served: one process of one thread (Glance: of more, where a test asks for them), at a free port
which the log tells."""

import ctypes
import os
import signal

bind = "127.0.0.1:0"
# Tokens are cached in the process, and two simultaneous additions of one member to an image may leave two rows.
workers = 1
worker_class = "gthread"
threads = 1
timeout = 120
keepalive = 30
accesslog = "-"
# The harness reads the log: method, path and query as sent, status and who asked.
access_log_format = "call %(m)s %({raw_uri}e)s %(s)s %(a)s"
control_socket_disable = True

PR_SET_PDEATHSIG = 1


def post_fork(server, worker):
    """The worker dies with its parent, even one that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker.ppid:
        os._exit(1)
