"""Clients of the clouds that nobody of this project wrote, each behind the few calls that its life needs."""


class Refused(Exception):
    """What a client made of a refusal."""

    def __init__(self, code, status):
        super().__init__(f"{code} ({status})")
        self.code, self.status = code, status
