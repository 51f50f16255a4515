"""SA-DVAE: a skeleton latent split into a semantic and an instance part (Li et al., ECCV 2024).

As in pha123661/SA-DVAE. v (B, Dv) is a feature as it is, t (B, Dt) a label text of unit length:

    z_s (B, Ls), z_i (B, Li) = enc_v(v)    z_t (B, Ls) = enc_t(t)
    dec_v [z_s ; z_i] -> (B, Dv)           dec_t z_s -> (B, Dt)

The loss of step i of N in cycle c (both from 0), with f = N / 1700, MSE over elements and KL summed
over dimensions:

    MSE(v, dec_v[z_s ; z_i]) + MSE(t, dec_t z_t) + k1 (KL_s + KL_i) + k2 KL_t
    + x (MSE(v, dec_v[z_t ; z_i]) + MSE(t, dec_t z_s)) + k2 mean D[z_s ; z_i]
    k1 = max(0, 0.1 (i - 1000 f) / (3000 f)),   x = 1 where i > floor(0.8 N),
    k2 = max(0, 0.1 (i - floor(0.8 N)) / (3000 f)) where c > 1, else 0.

The discriminator D, (Ls + Li) -> (Ls + Li) // 4 -> 1, learns with an Adam of its own before every
``discriminator_every``-th step to tell such pairs from pairs whose halves are permuted over the
batch each on its own; its loss is the mean over the pairs [z_s ; z_i] and [z_t ; z_i], times k2.

629,621 parameters, D's 7,141 among them, at 256/1024 with Ls 160 and Li 8 (NTU-60); 1,030,865 with
Ls 256 and Li 32 (NTU-120).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.vaes import SADVAEFacts, SADVAEOptions
from dvta.features import ClassText
from dvta.methods import official
from dvta.methods.base import METHODS, Method
from dvta.methods.msf import vae_names
from dvta.methods.vae import VAE, WARM_CYCLES, LatentMethod, kl

CROSSING = 0.8  # of a cycle, after which the modalities are crossed
BETAS, EPSILON = (0.9, 0.999), 1e-8


@METHODS.register("sa_dvae")
class SADVAE(SADVAEFacts, LatentMethod):
    """One VAE for features Dv -> Ls + Li, one for label texts Dt -> Ls, and a discriminator."""

    options: SADVAEOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: SADVAEOptions | None = None) -> None:
        super().__init__()
        self.options = options or SADVAEOptions()
        semantic, instance = self.options.latent, self.options.instance
        self.visual = VAE(visual_dim, semantic + instance, relu=True)
        self.text = VAE(text_dim, semantic, relu=self.options.text_decoder == "relu")
        self._steps, self._lr = 1, 0.0
        if self.options.discriminator_every:
            self.discriminator = Discriminator(semantic + instance)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the VAEs' parameters; the discriminator steps on its own, at the same rate throughout."""
        self._lr = lr
        return [{"params": [*self.visual.parameters(), *self.text.parameters()], "lr": lr}]

    def batches_per_epoch(self, samples: int, batch_size: int) -> int:
        """Return the steps of a cycle, and note them: the schedule stretches over them."""
        self._steps = self.options.cycle_steps or Method.batches_per_epoch(self, samples, batch_size)
        return self._steps

    def weights(self) -> tuple[float, float, bool]:
        """Return this step's k1 and k2 and whether the modalities are crossed."""
        crossing, unit = int(CROSSING * self._steps), self._steps / 1700
        k1 = max(0.0, 0.1 * (self._step - 1000 * unit) / (3000 * unit))
        k2 = max(0.0, 0.1 * (self._step - crossing) / (3000 * unit)) if self._cycle >= WARM_CYCLES else 0.0
        return k1, k2, self._step > crossing

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the loss of the VAEs, after a step of the discriminator where one is due."""
        k1, k2, crossed = self.weights()
        self._step += 1
        t = F.normalize(text.labels[labels], dim=-1)
        semantic, instance = self.parts(visual)
        told = self.text.encode(t)
        z_s, z_i, z_t = self.sample(*semantic), self.sample(*instance), self.sample(*told)
        loss = F.mse_loss(self.visual.decode(torch.cat((z_s, z_i), dim=1)), visual)
        loss = loss + F.mse_loss(self.text.decode(z_t), t)
        loss = loss + k1 * (kl(*semantic) + kl(*instance)) + k2 * kl(*told)
        if crossed:
            loss = loss + F.mse_loss(self.visual.decode(torch.cat((z_t, z_i), dim=1)), visual)
            loss = loss + F.mse_loss(self.text.decode(z_s), t)
        every = self.options.discriminator_every
        if every == 0:
            return loss
        if self._step % every == 0:
            self._teach(semantic, instance, told, k2)
        return loss + k2 * self.discriminator(torch.cat((z_s, z_i), dim=1)).sigmoid().mean()

    def parts(self, visual: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return mean and log-variance of the semantic (N, Ls) and of the instance part (N, Li)."""
        mean, log_variance = self.visual.encode(visual)
        size = self.options.latent
        return (mean[:, :size], log_variance[:, :size]), (mean[:, size:], log_variance[:, size:])

    def text_latent(self, text: ClassText) -> tuple[Tensor, Tensor]:
        """Encode label texts."""
        return self.text.encode(F.normalize(text.labels, dim=-1))

    def visual_mean(self, visual: Tensor) -> Tensor:
        """Return the mean of the semantic part."""
        return self.parts(visual)[0][0]

    def _teach(self, semantic: Any, instance: Any, told: Any, weight: float) -> None:
        """Take a step of the discriminator on fresh samples of a batch's Gaussians, (B, L) each."""
        loss = torch.zeros((), device=instance[0].device)
        for side in (semantic, told):
            first, second = (self.sample(*(x.detach() for x in pair)) for pair in (side, instance))
            order = [torch.randperm(len(first), device=first.device) for _ in range(2)]
            together = self.discriminator(torch.cat((first, second), dim=1))
            apart = self.discriminator(torch.cat((first[order[0]], second[order[1]]), dim=1))
            # log(1 + e^-x) is the cross-entropy of sigmoid(x) with 1
            loss = loss + (F.softplus(-together).mean() + F.softplus(apart).mean()) / 4
        self.discriminator.step(weight * loss, self._lr)

    @classmethod
    def from_official(cls, states: Mapping[str, Mapping[str, Tensor]]) -> SADVAE:
        """Build the published model from its four state dicts; its discriminator is not kept.

        Args:
            states: by the names of their files, ``se`` (keys ``mu.0`` and ``logvar.0``), ``sd``
                (``model.0``), ``te`` and ``td`` likewise.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        tensors, what = official.flat(states), "an SA-DVAE checkpoint of its authors"
        whole, semantic = (official.width(tensors, f"{file}.mu.0.weight", 0, what) for file in ("se", "te"))
        options = SADVAEOptions.resolve(
            {"preset": "official", "latent": semantic, "instance": whole - semantic}
        )
        widths = [official.width(tensors, f"{file}.mu.0.weight", 1, what) for file in ("se", "te")]
        assert isinstance(options, SADVAEOptions)
        model = cls(visual_dim=widths[0], text_dim=widths[1], options=options)
        official.load(model, tensors, vae_names({"mean": "mu.0", "log_variance": "logvar.0"}), what)
        return model


class Discriminator(nn.Module):
    """Tells whether the two parts of a latent belong together: n -> n // 4 -> 1, a logit.

    The moments and the count of its Adam are buffers, so that they are in the method's state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, width // 4), nn.Linear(width // 4, 1)
        for layer in (self.hidden, self.out):
            nn.init.xavier_uniform_(layer.weight, gain=0.5)
            nn.init.zeros_(layer.bias)
        count = sum(p.numel() for p in self.parameters())
        self.register_buffer("moments", torch.zeros(2, count))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.moments: Tensor
        self.steps: Tensor

    def forward(self, z: Tensor) -> Tensor:
        """Return (N, 1) logits."""
        return self.out(torch.relu(self.hidden(z)))  # type: ignore[no-any-return]

    def step(self, loss: Tensor, lr: float) -> None:
        """Take one step of Adam down a loss."""
        parameters = list(self.parameters())
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).to(self.moments)
        with torch.no_grad():
            self.steps += 1
            for moment, value, beta in zip(self.moments, (gradient, gradient.square()), BETAS, strict=True):
                moment.lerp_(value, 1 - beta)
            first, second = (m / (1 - b**self.steps) for m, b in zip(self.moments, BETAS, strict=True))
            change = (lr * first / (second.sqrt() + EPSILON)).split([p.numel() for p in parameters])
            for parameter, part in zip(parameters, change, strict=True):
                parameter.sub_(part.view_as(parameter))
