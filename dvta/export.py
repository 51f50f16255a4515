"""A trained method, with or without its encoder, as one TorchScript or ONNX file.

The texts of the candidates are baked in, or inputs beside the samples. A file is a function of its inputs alone, for
any number of samples.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dvta.encoders.base import SkeletonEncoder
from dvta.encoders.extract import segments
from dvta.errors import DataError, OptionError
from dvta.features import ClassText
from dvta.methods.base import Method

Form = Literal["torchscript", "onnx"]
FORMS: tuple[Form, ...] = ("torchscript", "onnx")
ABOUT = "about.json"  # the note in a TorchScript file; in ONNX the metadata property of this name
VISUAL, SCORES = "visual", "scores"
_TEXTS = ("labels", "contexts", "motions", "verbs", "nouns", "parts")
#: samples that a graph is traced with; sizes that occur elsewhere could be taken for one another
_SAMPLES = 3
_LEAST_CLASSES, _MOST_CLASSES = 2, 4096

Run = Callable[[Sequence[Tensor]], Tensor]


class Scorer(nn.Module):
    """Scores (N, U) of samples: skeletons (N, 3, T, 25, M) with an encoder, else features.

    Args:
        method: trained, and adapted to ``text`` where it is baked in.
        encoder: before the method, or None.
        text: the candidates, baked in; None: they are inputs, in the order of ``fields``.
        fields: of :class:`~dvta.features.ClassText`.
        unpooled: whether the method reads un-pooled features.
    """

    def __init__(
        self,
        method: Method,
        encoder: SkeletonEncoder | None,
        text: ClassText | None,
        fields: Sequence[str] = (),
        *,
        unpooled: bool = False,
    ) -> None:
        super().__init__()
        self.method, self.encoder = copy.deepcopy(method), copy.deepcopy(encoder)
        self._text, self._fields, self._unpooled = text, tuple(fields), unpooled
        self.method.make_exportable()
        if self.encoder is not None:
            self.encoder.make_exportable()
        self.eval()

    def forward(self, visual: Tensor, *texts: Tensor) -> Tensor:
        """Return the scores."""
        if self.encoder is not None:
            maps = self.encoder.feature_map(visual)
            visual = segments(maps) if self._unpooled else maps.mean((1, 2))
        text = self._text
        if text is None:
            ids = torch.arange(texts[0].shape[0], device=visual.device)
            text = ClassText(ids, **dict(zip(self._fields, texts, strict=True)))
        return self.method.class_scores(visual, text)


def text_fields(method: Method) -> tuple[str, ...]:
    """Return which texts of a class are inputs of a method whose texts are free."""
    needed = {"labels", *method.needs(method.options)}
    return tuple(field for field in _TEXTS if field in needed)


def check_exportable(method: Method, form: str, texts: str) -> None:
    """Refuse what cannot be exported, with the reason.

    Raises:
        OptionError: it cannot, or what the format needs is not installed.
    """
    if texts == "free" and type(method).adapt is not Method.adapt:
        raise OptionError(
            f"--texts free: {type(method).__name__} fits a classifier to the texts of its candidates, which is no part "
            "of a graph; allowed: baked"
        )
    if form == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            try:
                __import__(package)
            except ImportError as error:
                raise OptionError(
                    f"--format onnx: needs the package {package}, which is not here; allowed: torchscript, or after "
                    "pip install 'dvta-orch[export]'"
                ) from error


def export(
    scorer: Scorer,
    form: Form,
    inputs: Mapping[str, Tensor],
    about: Mapping[str, Any],
    *,
    classes: bool = True,
) -> bytes:
    """Return the content of a file.

    Args:
        inputs: an example of every input, by name, ``visual`` first; samples stand in its first axis, candidates in that
            of the texts.
        about: what the file says of itself.
        classes: whether the number of candidates is free too, where they are inputs.

    Raises:
        DataError: the exporter cannot; the message says why.
    """
    example = {name: x if name != VISUAL else x[: min(_SAMPLES, len(x))] for name, x in inputs.items()}
    try:
        with _quiet(), torch.no_grad():
            return (
                _script(scorer, example, about)
                if form == "torchscript"
                else _onnx(scorer, example, about, classes)
            )
    except Exception as error:  # the exporters raise many types
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(
            f"{type(scorer.method).__name__} cannot be exported as {form} ({reason[:200]})"
        ) from error


def load(content: bytes, form: Form) -> tuple[Run, dict[str, Any]]:
    """Return the function of a file, and what the file says of itself."""
    if form == "torchscript":
        extra = {ABOUT: ""}
        with _quiet():
            script: Any = torch.jit.load(io.BytesIO(content), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]

        def run(inputs: Sequence[Tensor]) -> Tensor:
            with torch.no_grad():
                return script(*inputs)  # type: ignore[no-any-return]

        return run, json.loads(extra[ABOUT])
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def scored(inputs: Sequence[Tensor]) -> Tensor:
        (found,) = session.run([SCORES], {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
        return torch.from_numpy(found)

    return scored, json.loads(session.get_modelmeta().custom_metadata_map[ABOUT])


def _script(scorer: Scorer, example: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    traced: Any = torch.jit.trace(scorer, tuple(example.values()), check_trace=False)  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={ABOUT: json.dumps(about)})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _onnx(scorer: Scorer, example: Mapping[str, Tensor], about: Mapping[str, Any], classes: bool) -> bytes:
    samples = torch.export.Dim("samples")
    candidates = torch.export.Dim("candidates", min=_LEAST_CLASSES, max=_MOST_CLASSES)
    texts = tuple({0: candidates} if classes else {} for _ in list(example)[1:])
    shapes = ({0: samples}, *((texts,) if texts else ()))
    program = torch.export.export(scorer, tuple(example.values()), dynamic_shapes=shapes, strict=False)
    made: Any = torch.onnx.export(
        program, input_names=list(example), output_names=[SCORES], dynamo=True, verbose=False
    )
    model = made.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = ABOUT, json.dumps(about)
    return model.SerializeToString()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the exporters from writing to the terminal."""
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        # some handlers hold the terminal's stream itself
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def example_texts(text: ClassText, fields: Sequence[str]) -> dict[str, Tensor]:
    """Return the inputs that texts are, by name.

    Raises:
        DataError: one of them is not there.
    """
    found = {field: getattr(text, field) for field in fields}
    missing = [field for field, value in found.items() if value is None]
    if missing:
        raise DataError(f"the candidates have no {', '.join(missing)}")
    return {field.name: found[field.name] for field in dataclasses.fields(text) if field.name in found}
