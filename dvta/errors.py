"""Errors a person can cause: typed, one message each, raised at the border."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DvtaError(Exception):
    """A mistake in input; ``str(error)`` is the complete message for the person who made it."""


class DataError(DvtaError):
    """A data file is missing, malformed or contradicts its dataset or split."""


class DataChangedError(DataError):
    """A file is not what it was when its digest became part of a trial's identity."""

    def __init__(self, path: object, planned: str, found: str) -> None:
        super().__init__(path, planned, found)

    def __str__(self) -> str:
        path, planned, found = self.args
        return (
            f"{path}: its content has changed since the trial was planned (SHA-256 {planned[:16]} then, "
            f"{found[:16]} now); run the same command again: what is there now makes new trials"
        )


class MissingTextsError(DataError):
    """The text features of a data set by some text encoder are not there; they can be encoded.

    Attributes:
        dataset: the data set's name. encoder: the id of the text features.
    """

    def __init__(self, message: str, dataset: str, encoder: str) -> None:
        super().__init__(message, dataset, encoder)
        self.dataset, self.encoder = dataset, encoder

    def __str__(self) -> str:
        return str(self.args[0])


class MissingSkeletonsError(DataError):
    """No skeletons of a data set are prepared; recordings can be.

    Attributes:
        dataset: the data set's name.
    """

    def __init__(self, message: str, dataset: str) -> None:
        super().__init__(message, dataset)
        self.dataset = dataset

    def __str__(self) -> str:
        return str(self.args[0])


class OptionError(DvtaError):
    """A method, training or stand-in option is unknown or has an impossible value."""


class UnknownNameError(DvtaError):
    """A name is not registered."""


class NonFiniteLossError(DvtaError):
    """Training produced a NaN or infinite loss; carries the epoch and step."""

    def __init__(self, epoch: int, step: int, value: float) -> None:
        super().__init__(f"the training loss became {value} in epoch {epoch}, step {step}")
        self.epoch, self.step, self.value = epoch, step, value

    def __reduce__(self) -> tuple[type, tuple[int, int, float]]:
        return type(self), (self.epoch, self.step, self.value)


def did_you_mean(value: object, allowed: Iterable[object]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest allowed value, or an empty string."""
    close = get_close_matches(str(value), [str(a) for a in allowed], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
