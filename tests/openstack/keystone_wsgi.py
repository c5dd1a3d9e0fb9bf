"""Keystone as a WSGI application. It parses sys.argv when it is imported, and a WSGI server's own arguments end it."""

import sys

sys.argv = ["keystone"]

from keystone.wsgi.api import application  # noqa: E402, F401
