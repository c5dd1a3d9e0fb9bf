"""Glance as a WSGI application, without the WSGI server's arguments in sys.argv."""

import sys

import sqlalchemy.engine
import sqlalchemy.event

sys.argv = ["glance-api"]


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "begin")
def begin_as_writer(connection):
    """With several threads, transactions wait for each other from their beginning: one that reads first and then writes
    would end in "database is locked". oslo.db begins none that it finds begun."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.info["in_transaction"] = True


from glance.wsgi.api import application  # noqa: E402, F401
