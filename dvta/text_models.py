"""Which text models are at hand: a folder, the cache of the Hugging Face hub, the hub itself; found out in a second.

The libraries that load models take many seconds to say that there is no network. Nothing here imports them.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Literal

from dvta.errors import DataError

#: the models that the field's text encoders are
DEFAULT_MODELS = {
    "sbert": "sentence-transformers/all-mpnet-base-v2",
    "clip": "openai/clip-vit-large-patch14",
    "clip_b32": "openai/clip-vit-base-patch32",
}
REACH_SECONDS = 1.0
_WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
)  # fmt: skip

Place = Literal["folder", "cache", "hub", "nowhere"]


@dataclasses.dataclass(frozen=True)
class Located:
    """Where a model is: in a ``folder``, in the hub's ``cache`` here, on the ``hub``, which answers, or ``nowhere``."""

    model: str
    place: Place
    reason: str = ""


def locate_model(model: str, seconds: float = REACH_SECONDS) -> Located:
    """Find a model by its folder or its name on the hub; the network is asked last, and for ``seconds`` at most."""
    if Path(model).is_dir():
        return Located(model, "folder")
    if model.startswith((".", "/", "~")) or model.count("/") > 1 or "\\" in model:
        return Located(model, "nowhere", "no such folder")
    if is_cached(model):
        return Located(model, "cache")
    problem = hub_problem(seconds)
    return (
        Located(model, "nowhere", f"not on this machine, and {problem}") if problem else Located(model, "hub")
    )


def require_model(model: str) -> Located:
    """Return where a model is.

    Raises:
        DataError: it is nowhere in reach; the message has the remedy.
    """
    found = locate_model(model)
    if found.place == "nowhere":
        raise not_loaded(model, found.reason)
    return found


def not_loaded(model: str, reason: str) -> DataError:
    """Return the error of a model that cannot be had, for the caller to raise."""
    return DataError(
        f"text model {model!r} cannot be loaded ({reason}); allowed: a folder that holds the model, or a name on the "
        "Hugging Face hub that is in its cache here (once, with a network: hf download NAME) or in reach; give it "
        "with --model"
    )


def hub_problem(seconds: float = REACH_SECONDS) -> str:
    """Return why the hub is out of reach, empty where it answers within some seconds."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    said = [f"no answer within {seconds:g} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
            said.append("")
        except urllib.error.HTTPError:
            said.append("")  # whoever refuses is there
        except (OSError, ValueError) as error:
            said.append(str(getattr(error, "reason", error)))

    # looking up a name has no time limit of its own
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return f"{constants.ENDPOINT} is out of reach: {said[-1]}" if said[-1] else ""


def is_cached(model: str) -> bool:
    """Return whether configuration and weights of a model lie in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    names = [model] if "/" in model else [model, f"sentence-transformers/{model}"]
    own = os.environ.get("SENTENCE_TRANSFORMERS_HOME")

    def there(name: str, file: str, folder: str | None) -> bool:
        try:
            return isinstance(try_to_load_from_cache(name, file, cache_dir=folder), str)
        except HFValidationError:
            return False

    return any(
        there(name, "config.json", folder) and any(there(name, file, folder) for file in _WEIGHTS)
        for name in names
        for folder in {None, own}
    )
