"""What every script needs that drives the simulator: a comparison, and the admin interface."""

import json
import urllib.request


def same(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def ask_admin(url, method, path, body=None):
    """Calls the admin interface at `url`. A text is sent as it is, anything else as JSON; `None` sends nothing."""
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    data = None if text is None else text.encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)
