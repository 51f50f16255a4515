"""Errors of the machine room a person can cause."""

from dvta.errors import DvtaError


class SpecError(DvtaError):
    """A spec is wrong; the message lists everything that is."""


class StoreError(DvtaError):
    """The result store cannot be opened, read or written."""


class LeaseLostError(StoreError):
    """Another driver has taken the attempt over; this one must not write it any more."""


class SettingsError(DvtaError):
    """A flag or an environment variable has an impossible value."""
