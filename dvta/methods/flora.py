"""Flora in a sentence form: two VAEs, and a flow from texts to features as the classifier.

After cseeyangchen/Flora (CVPR 2026 Findings), which has one token state per word of two texts, 36 to
76 a class. Here a class is one token, the features of its two sentences side by side, so this is
not the published model and its numbers are not Flora's. One token has no other to attend to:
attention is linear. v (B, Dv) is a feature, F_c (2 Dt) label and context of class c.

Neighbours mix into a text, once: O_c = F_c + (tau / k) sum_j cos(c, j) F_j over the k nearest classes.

Phase 1: encoders Dv -> L and 2 Dt -> L, decoders back; the mean of the four reconstructions (each
from its own and from the other's latent) + 0.1 [MSE(mu_t, mu_v) + MSE(logvar_t, logvar_v)].

Phase 2, VAEs frozen, time = sigma(N(0, 1)) and s = 1e-5: z = ((s - 1) time + 1) z_t + time z_v, and
y = (s - 1) z_t + z_v is its velocity. MSE(f(z, time), y) - 0.1 MSE(f(z, time), y'), y' of a pair
of another class (here of the same batch).

Test, from means: the class whose pair has the least error of f at time 0.5. 22,504,704 parameters
at 256/768 with L 768.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.facts.diffusion import FloraOptions, FloraSentenceFacts
from dvta.features import ClassText, FeatureSet
from dvta.methods import official
from dvta.methods.base import METHODS
from dvta.methods.dit import Feed, Head, Modulation, SteppedMethod, TimeEmbedding, initialise, modulated

ALIGN, CONTRAST = 0.1, 0.1
NOISE = 1e-5  # s, what is left of a text at the end of the flow
TEST_TIME = 0.5


class Encoder(nn.Module):
    """D -> L -> L, then mean and log-variance (N, L)."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, latent), nn.Linear(latent, latent)
        self.mean, self.log_variance = nn.Linear(latent, latent), nn.Linear(latent, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance."""
        hidden = self.second(torch.relu(self.first(x)))
        return self.mean(hidden), self.log_variance(hidden)


class Velocity(nn.Module):
    """The velocity at z (N, L): one transformer block on one token, given the time alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inward, self.time = nn.Linear(width, width), TimeEmbedding(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed, self.modulation = Feed(width), Modulation(width, 6)
        self.head = Head(width, width)
        initialise(self)

    def forward(self, z: Tensor, time: Tensor) -> Tensor:
        """Return (N, L) at times (N,), or at one time (1,) for all."""
        x, condition = self.inward(z)[:, None], self.time(time)
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = self.modulation(condition)
        # one token attends to itself alone, so only its value counts
        value = self.qkv(modulated(x, shift_a, scale_a)).chunk(3, dim=-1)[2]
        x = x + gate_a * self.proj(value)
        x = x + gate_f * self.feed(modulated(x, shift_f, scale_f))
        return self.head(x, condition)[:, 0]  # type: ignore[no-any-return]


@METHODS.register("flora_sentence")
class FloraSentence(FloraSentenceFacts, SteppedMethod):
    """Two VAEs into one latent space, and the velocity of a flow in it."""

    options: FloraOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: FloraOptions | None = None) -> None:
        super().__init__()
        self.options = options or FloraOptions()
        latent, words = self.options.latent, 2 * text_dim
        self.visual, self.text = Encoder(visual_dim, latent), Encoder(words, latent)
        self.to_visual, self.to_text = _decoder(latent, visual_dim), _decoder(latent, words)
        self.velocity = Velocity(latent)
        self.register_buffer("known", torch.empty(0, words), persistent=False)
        self.known: Tensor

    def prepare(self, features: FeatureSet) -> None:
        """Note the texts of all classes: neighbours are looked for among them."""
        self.known = both(features.class_text).to(features.train.device)

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the loss of the phase this step is in."""
        aligning = self._step < self.options.alignment_steps
        self._step += 1
        t = self.attuned(text)[labels]
        if aligning:
            return self.alignment_loss(visual, t)
        with torch.no_grad():
            z_v, z_t = _draw(*self.visual(visual)), _draw(*self.text(t))
        return self.flow_loss(z_v, z_t, labels)

    def alignment_loss(self, visual: Tensor, t: Tensor) -> Tensor:
        """Return phase 1's loss of features (B, Dv) and attuned texts (B, 2 Dt)."""
        v, u = self.visual(visual), self.text(t)
        z_v, z_t = _draw(*v), _draw(*u)
        rebuilt = sum(
            F.mse_loss(self.to_visual(z), visual) + F.mse_loss(self.to_text(z), t) for z in (z_v, z_t)
        )
        return rebuilt / 4 + ALIGN * (F.mse_loss(u[0], v[0]) + F.mse_loss(u[1], v[1]))  # type: ignore[return-value]

    def flow_loss(self, z_v: Tensor, z_t: Tensor, labels: Tensor) -> Tensor:
        """Return phase 2's loss of latents (B, L)."""
        time = torch.randn(len(z_v), device=z_v.device).sigmoid()
        z, target = flow(z_t, z_v, time[:, None])
        found = self.velocity(z, time)
        loss = F.mse_loss(found, target)
        different = (labels[:, None] != labels[None]).float()
        if not different.any(1).all():  # a batch of one class has no other
            return loss
        return loss - CONTRAST * F.mse_loss(found, target[torch.multinomial(different, 1)[:, 0]])

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) of minus the velocity's mean squared error at time 0.5."""
        z_v, z_t = self.visual(visual)[0], self.text(self.attuned(text))[0]
        time = torch.full((1,), TEST_TIME, device=visual.device)
        errors = []
        for of_class in z_t:
            z, target = flow(of_class[None], z_v, time)
            errors.append((self.velocity(z, time) - target).square().mean(1))
        return -torch.stack(errors, dim=1)

    def attuned(self, text: ClassText) -> Tensor:
        """Return the texts (C, 2 Dt) with their nearest neighbours among the known classes mixed in."""
        own = both(text)
        known = self.known if self.known.shape[0] else own
        alike = F.normalize(own, dim=1) @ F.normalize(known, dim=1).T
        itself = (own[:, None] == known[None]).all(-1)
        near = alike.masked_fill(itself, -torch.inf).topk(min(self.options.neighbours, len(known) - 1), dim=1)
        mixed = (near.values[..., None] * known[near.indices]).sum(1)
        return own + self.options.mixing / self.options.neighbours * mixed

    @classmethod
    def from_official(cls, state_dict: Mapping[str, Tensor]) -> FloraSentence:
        """Build the sentence form with the weights of a published model; its tokens' network is the same.

        Args:
            state_dict: keys ``semantic_encoder``, ``motion_encoder``, ``semantic_decoder``,
                ``motion_decoder`` and ``velocity_predictor``.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        what = "a Flora checkpoint of its authors"
        latent = official.width(state_dict, "motion_encoder.proj_mu.weight", 0, what)
        widths = [
            official.width(state_dict, f"{m}_encoder.backbone.0.weight", 1, what)
            for m in ("motion", "semantic")
        ]
        model = cls(visual_dim=widths[0], text_dim=widths[1] // 2, options=FloraOptions(latent=latent))
        official.load(model, state_dict, official.parts(OFFICIAL), what)
        return model


OFFICIAL = {
    **{
        f"{theirs}_encoder.{layer}": f"{ours}.{name}"
        for theirs, ours in (("motion", "visual"), ("semantic", "text"))
        for layer, name in (
            ("backbone.0", "first"), ("backbone.2", "second"), ("proj_mu", "mean"), ("proj_log_var", "log_variance"),
        )
    },
    **{
        f"{theirs}_decoder.backbone.{i}": f"{ours}.{i}"
        for theirs, ours in (("motion", "to_visual"), ("semantic", "to_text"))
        for i in (0, 2)
    },
    "velocity_predictor.x_embedder": "velocity.inward",
    "velocity_predictor.t_embedder.mlp.0": "velocity.time.first",
    "velocity_predictor.t_embedder.mlp.2": "velocity.time.second",
    "velocity_predictor.blocks.0.attn.qkv": "velocity.qkv",
    "velocity_predictor.blocks.0.attn.proj": "velocity.proj",
    "velocity_predictor.blocks.0.mlp.fc1": "velocity.feed.fc1",
    "velocity_predictor.blocks.0.mlp.fc2": "velocity.feed.fc2",
    "velocity_predictor.blocks.0.adaLN_modulation.1": "velocity.modulation.linear",
    "velocity_predictor.final_layer.linear": "velocity.head.linear",
    "velocity_predictor.final_layer.adaLN_modulation.1": "velocity.head.modulation.linear",
}  # fmt: skip


def both(text: ClassText) -> Tensor:
    """Return label and context of every class side by side, (C, 2 Dt).

    Raises:
        DataError: there are no contexts.
    """
    if text.contexts is None:
        raise DataError("the method needs contexts of the classes: <text>_contexts.npy")
    return torch.cat((text.labels, text.contexts), dim=1)


def flow(z_t: Tensor, z_v: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the way from texts to features (N, L) is at a time, and its velocity."""
    return ((NOISE - 1) * time + 1) * z_t + time * z_v, (NOISE - 1) * z_t + z_v


def _decoder(latent: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width))


def _draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
