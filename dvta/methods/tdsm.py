"""TDSM: a class is right where its text helps most to remove noise from a feature (Do and Kim, ICCV 2025).

After KAIST-VICLab/TDSM. A feature v (B, Dv) becomes v_n = sqrt(a_n) v + sqrt(1 - a_n) eps, with a_n
the share of signal after step n of 50. A transformer tells eps from v_n, n and a class's text:
its label and context side by side (2 Dt), once whole and once as tokens. The published model has 35
token states of the words as tokens; here they are the eight part texts of a class, each beside
its context. The rest of the 35 learned positions is unused, so that published weights fit.

In every one of the blocks the feature and the tokens attend to all of them, with queries, keys,
values, feeds and modulations of their own; time and whole text are the condition.

Loss, with y- a random seen class and d(y) = MSE(eps', eps) of a sample given y's text:

    mean d(y) + mean [y != y-] max(0, d(y) - d(y-) + 1).

Test: at n = 25, the class with the least d, summed over three draws of noise made once.

261,208,576 parameters at 256/1024 with depth 12 and width 768, which wants a GPU; 6,252,544 with
depth 2 and width 256.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.facts.diffusion import TDSMFacts, TDSMOptions
from dvta.features import ClassText, FeatureSet
from dvta.methods import official
from dvta.methods.base import METHODS
from dvta.methods.dit import (
    Feed,
    Head,
    Modulation,
    SteppedMethod,
    TimeEmbedding,
    initialise,
    modulated,
    split_heads,
)  # fmt: skip
from dvta.methods.flora import both

NOISE_STEPS, TEST_STEP, TEST_DRAWS = 50, 25, 3
BETAS = (0.00085, 0.012)  # of Stable Diffusion 2.1, spread evenly over their square roots
POSITIONS = 35
MARGIN = 1.0


class Stream(nn.Module):
    """What a block has for the feature, and again for the tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed, self.modulation = Feed(width), Modulation(width, 6)


class Block(nn.Module):
    """Feature (N, 1, D) and tokens (N, M, D) attend to each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.feature, self.tokens = Stream(width), Stream(width)

    def forward(self, x: Tensor, tokens: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, changed."""
        streams, inputs = (self.feature, self.tokens), (x, tokens)
        vectors = [stream.modulation(condition) for stream in streams]
        read = [s.qkv(modulated(i, v[0], v[1])) for s, i, v in zip(streams, inputs, vectors, strict=True)]
        query, key, value = (split_heads(part) for part in torch.cat(read, dim=1).chunk(3, dim=-1))
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out = []
        for stream, i, v, told in zip(streams, inputs, vectors, (seen[:, :1], seen[:, 1:]), strict=True):
            i = i + v[2] * stream.proj(told)
            out.append(i + v[5] * stream.feed(modulated(i, v[3], v[4])))
        return out[0], out[1]


class Denoiser(nn.Module):
    """What is asked of noisy features, given a time and a class's text."""

    def __init__(self, visual_dim: int, text_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.inward, self.time = nn.Linear(visual_dim, width), TimeEmbedding(width)
        self.whole = nn.Sequential(nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.token = nn.Linear(text_dim, width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, POSITIONS, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = Head(width, visual_dim)
        initialise(self)

    def forward(self, x: Tensor, time: Tensor, whole: Tensor, tokens: Tensor) -> Tensor:
        """Return (N, Dv) from (N, Dv), (N,), (N, 2 Dt) and (N, M, 2 Dt)."""
        x = self.inward(x)[:, None]
        local = self.token(tokens) + self.positions[:, : tokens.shape[1]]
        condition = self.time(time) + self.whole(whole)
        for block in self.blocks:
            x, local = block(x, local, condition)
        return self.head(x, condition)[:, 0]  # type: ignore[no-any-return]


@METHODS.register("tdsm")
class TDSM(TDSMFacts, SteppedMethod):
    """A denoiser of features; the class whose text helps it most wins."""

    options: TDSMOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: TDSMOptions | None = None) -> None:
        super().__init__()
        self.options = options or TDSMOptions()
        self.denoiser = Denoiser(visual_dim, 2 * text_dim, self.options.width, self.options.depth)
        self.register_buffer("test_noise", torch.randn(TEST_DRAWS, visual_dim))
        self.register_buffer("signal", signal_shares(), persistent=False)
        self.register_buffer("seen", torch.empty(0, dtype=torch.int64), persistent=False)
        self.test_noise: Tensor
        self.signal: Tensor
        self.seen: Tensor

    def prepare(self, features: FeatureSet) -> None:
        """Note the seen classes: wrong texts are drawn from them."""
        self.seen = torch.tensor(features.seen, device=features.train.device)

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the error with the right text, and how little larger it is with a wrong one."""
        self._step += 1
        noise = torch.randn_like(visual)
        time = torch.randint(NOISE_STEPS, (len(visual),), device=visual.device)
        wrong = self.seen[torch.randint(len(self.seen), (len(visual),), device=visual.device)]
        whole, tokens = both(text), local(text)
        right_error, wrong_error = (
            self._error(visual, noise, time, whole[y], tokens[y]) for y in (labels, wrong)
        )
        hinge = (right_error - wrong_error + MARGIN).clamp_min(0) * (labels != wrong)
        return right_error.mean() + hinge.mean()

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) of minus the error, summed over the draws of noise."""
        whole, tokens = both(text), local(text)
        samples = visual.shape[0]
        time = torch.full((samples,), TEST_STEP, device=visual.device)
        scores = []
        for c in range(len(text.ids)):
            texts = whole[c].expand(samples, -1), tokens[c].expand(samples, -1, -1)
            errors = (self._error(visual, noise.expand_as(visual), time, *texts) for noise in self.test_noise)
            scores.append(-torch.stack(tuple(errors)).sum(0))
        return torch.stack(scores, dim=1)

    def _error(self, visual: Tensor, noise: Tensor, time: Tensor, whole: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean squared errors (N,) of what is told from noisy features."""
        share = self.signal[time][:, None]
        told = self.denoiser(share.sqrt() * visual + (1 - share).sqrt() * noise, time, whole, tokens)
        return (told - (noise if self.options.target == "noise" else visual)).square().mean(1)

    @classmethod
    def from_official(cls, state_dict: Mapping[str, Tensor]) -> TDSM:
        """Build the model with the weights of a published transformer.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        what = "a TDSM checkpoint of its authors"
        width = official.width(state_dict, "x_embedder.weight", 0, what)
        visual_dim = official.width(state_dict, "x_embedder.weight", 1, what)
        text_dim = official.width(state_dict, "fl_embedder.weight", 1, what)
        depth = len({key.split(".")[1] for key in state_dict if key.startswith("blocks.")})
        options = TDSMOptions(depth=max(depth, 1), width=width)
        model = cls(visual_dim=visual_dim, text_dim=text_dim // 2, options=options)
        names = official.parts(_layers(options.depth))
        names["fl_pos_embed"] = "positions"
        official.load(model.denoiser, state_dict, names, what)
        return model


def local(text: ClassText) -> Tensor:
    """Return the tokens (C, 8, 2 Dt) of every class: each part text beside the context.

    Raises:
        DataError: there are no part texts or no contexts.
    """
    if text.parts is None or text.contexts is None:
        raise DataError("tdsm needs contexts and part texts of the classes: <text>_parts.npy")
    return torch.cat((text.parts, text.contexts[:, None].expand_as(text.parts)), dim=-1)


def signal_shares() -> Tensor:
    """Return the share a_n (50,) of the signal's variance that is left after each step of noise."""
    low, high = (beta**0.5 for beta in BETAS)
    return (1 - torch.linspace(low, high, NOISE_STEPS).square()).cumprod(0)


def _layers(depth: int) -> dict[str, str]:
    """Return the authors' layers -> ours."""
    names = {
        "x_embedder": "inward", "fl_embedder": "token", "fc_embedder.0": "whole.0", "fc_embedder.2": "whole.2",
        "t_embedder.mlp.0": "time.first", "t_embedder.mlp.2": "time.second",
        "final_layer.linear": "head.linear", "final_layer.adaLN_modulation.1": "head.modulation.linear",
    }  # fmt: skip
    for i in range(depth):
        for end, stream in (("", "feature"), ("_c", "tokens")):
            theirs, ours = f"blocks.{i}", f"blocks.{i}.{stream}"
            names |= {
                f"{theirs}.attn.qkv{end}": f"{ours}.qkv",
                f"{theirs}.attn.proj{end}": f"{ours}.proj",
                f"{theirs}.mlp{end}.fc1": f"{ours}.feed.fc1",
                f"{theirs}.mlp{end}.fc2": f"{ours}.feed.fc2",
                f"{theirs}.adaLN_modulation{end}.1": f"{ours}.modulation.linear",
            }
    return names
