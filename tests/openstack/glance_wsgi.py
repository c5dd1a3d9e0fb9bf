"""Glance as a WSGI application, without the WSGI server's arguments in sys.argv."""

import sys

sys.argv = ["glance-api"]

from glance.wsgi.api import application  # noqa: E402, F401
