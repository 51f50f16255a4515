"""Errors of the machine room a person can cause."""

from dvta.errors import DvtaError, MissingSkeletonsError, MissingTextsError


class SpecError(DvtaError):
    """A spec is wrong; the message lists everything that is."""


class StoreError(DvtaError):
    """The result store cannot be opened, read or written."""


class LeaseLostError(StoreError):
    """Another driver has taken the attempt over; this one must not write it any more."""


class SettingsError(DvtaError):
    """A flag or an environment variable has an impossible value."""


def explain(error: DvtaError) -> str:
    """Return an error's message with the command that makes what is missing, where there is one."""
    return printable(_with_remedy(error))


def printable(text: str) -> str:
    """Return a text in which control characters, which a terminal would obey, are spelled out."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _with_remedy(error: DvtaError) -> str:
    if isinstance(error, MissingTextsError):
        return f"{error}; make it with: dvta-orch encode text --dataset {error.dataset} --encoder {error.encoder}"
    if isinstance(error, MissingSkeletonsError):
        kind = {"ntu60": "ntu", "ntu120": "ntu", "pku": "pku"}.get(error.dataset, "bvh")
        named = f" --dataset {error.dataset}" if error.dataset not in ("ntu60", "pku", "cmu") else ""
        return f"{error}; make them with: dvta-orch data prepare {kind} FOLDER{named}"
    return str(error)
