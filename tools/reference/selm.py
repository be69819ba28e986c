"""SelM in PyTorch, written from the description of the published system, with its state-dict keys; without its noise."""
import torch
from torch import nn
from torch.nn import functional as F


def branch(**parts):
    """A module that only gives its parts their place in the state dict."""
    module = nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def point(inputs: int, outputs: int):
    return nn.Sequential(nn.Conv1d(inputs, outputs, 1))


class Fusion(nn.Module):
    """map x [N,C,H,W], audio [N,D,1] -> both. The picture's attention over one token of sound is computed as published."""

    def __init__(self, c: int, d: int):
        super().__init__()
        align = branch(f_query=point(d, c), f_query2=point(c, d), f_key=point(c, d))
        attention = branch(
            align_audio=align, vis_value_conv=point(c, d), audio_out=point(d, d), audio_value_conv=point(d, c), vis_out=point(c, c)
        )
        self.fusion = branch(audio_visual_att=attention, vis_project=point(c, c), out_conv=point(c, c))
        self.audio_out_conv = point(d, d)
        self.gate = nn.Sequential(nn.Linear(c, c, bias=False), nn.ReLU(), nn.Linear(c, c, bias=False), nn.Tanh())

    def forward(self, x, audio, keep=None):
        rows = x.flatten(2)  # [N,C,L]
        attention = self.fusion.audio_visual_att
        align = attention.align_audio
        query = align.f_query2(align.f_query(audio))
        query = query if keep is None else query * keep.view(-1, 1, 1)
        key, value = F.instance_norm(align.f_key(rows)), F.instance_norm(attention.vis_value_conv(rows))
        weights = (query.transpose(1, 2) @ key / x.shape[1] ** 0.5).softmax(-1)  # [N,1,L]
        found = value @ weights.transpose(1, 2)  # [N,D,1]
        heard = attention.audio_value_conv(audio).expand(-1, -1, rows.shape[2])
        spread = F.instance_norm(attention.vis_out(heard))  # that of a constant
        g = F.gelu(self.fusion.out_conv(self.fusion.vis_project(rows) * spread))
        shifted = rows + (self.gate(g.transpose(1, 2)) * g.transpose(1, 2)).transpose(1, 2)
        return shifted.view(x.shape), audio + F.gelu(self.audio_out_conv(attention.audio_out(found)))


class Mamba(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        inner, self.rank = 2 * width, -(-width // 16)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.x_proj = nn.Linear(inner, self.rank + 32, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.zeros(inner, 16))
        self.D = nn.Parameter(torch.zeros(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        main, gate = self.in_proj(x).chunk(2, -1)
        u = F.silu(self.conv1d(main.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)  # [G,T,I]
        low, b, c = self.x_proj(u).split([self.rank, 16, 16], -1)
        dt = F.softplus(self.dt_proj(low))
        state, steps = torch.zeros(x.shape[0], u.shape[2], 16).to(x), []
        for t in range(x.shape[1]):
            decay = (dt[:, t, :, None] * -self.A_log.exp()).exp()
            state = decay * state + (dt[:, t] * u[:, t])[..., None] * b[:, t, None]
            steps.append((state * c[:, t, None]).sum(-1) + self.D * u[:, t])
        return self.out_proj(torch.stack(steps, 1) * F.silu(gate))


class Temporal(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.ModuleList(branch(layernorm=nn.LayerNorm(width), mamba_block=Mamba(width)) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            y = layer.layernorm(x)
            x = y + layer.mamba_block(y)
        return x


class Gates(nn.Module):
    def __init__(self, d: int):
        super().__init__()
        four = lambda make: nn.ModuleList(make() for _ in range(4))
        self.vis_linear = four(lambda: nn.Linear(d, d))
        self.video_encoder, self.audio_encoder = four(lambda: Temporal(d)), four(lambda: Temporal(d))
        self.audio_gated, self.video_gated = (four(lambda: nn.Sequential(nn.Linear(d, d), nn.SiLU())) for _ in range(2))

    def forward(self, maps, audio):
        """Of one clip: maps [T,D,H,W], audio [T,D]."""
        out, total = [], 0
        for i, m in enumerate(maps):
            pooled = self.vis_linear[i](m.mean((2, 3)))[None]
            total = total + self.video_gated[i](self.video_encoder[i](pooled))[0]
            gate = self.audio_gated[i](self.audio_encoder[i](audio[None]))[0]
            out.append(m + m * gate[..., None, None])
        return out, audio + audio * total / 4


class Mlp(nn.Module):
    def __init__(self, d: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Choice(nn.Module):
    def __init__(self, d: int):
        super().__init__()
        self.norm_v, self.norm_t, self.norm = (nn.LayerNorm(d) for _ in range(3))
        self.q_proj, self.k_proj, self.v_proj, self.proj = (nn.Linear(d, d) for _ in range(4))
        self.mlp = Mlp(d)

    def forward(self, tokens, v, positions):
        u = self.norm_v(v.flatten(2).transpose(1, 2) + positions)
        unit = lambda x: x / (x.norm(dim=-1, keepdim=True) + 1e-12)
        scores = unit(self.q_proj(self.norm_t(tokens))) @ unit(self.k_proj(u)).transpose(1, 2)  # [N,2,L]
        self.gap = (scores[:, 0] - scores[:, 1]).abs().min()
        chosen = F.one_hot(scores.argmax(1), 2).transpose(1, 2).to(u)
        joined = chosen @ self.v_proj(u) / (chosen.sum(-1, keepdim=True) + 1)
        return self.mlp(self.norm(self.proj(joined) + tokens))


class Decoder(nn.Module):
    def __init__(self, d: int, groups: int, side: int, enlargements: int, classes: int, mask: int):
        super().__init__()
        self.mask, self.classes, self.width = mask, classes, d
        join = lambda: nn.Sequential(
            nn.Conv2d(2 * d, d, 3, padding=1), nn.GroupNorm(groups, d), nn.ReLU(),
            nn.Conv2d(d, d, 3, padding=1), nn.GroupNorm(groups, d), nn.ReLU(),
        )
        self.fuses = nn.ModuleList(branch(fusion=join()) for _ in range(3))
        cross = lambda: branch(v_proj=nn.Linear(d, d, bias=False), proj=nn.Linear(d, d))
        self.layers = nn.ModuleList(
            branch(loadtoken=branch(cross_attn=cross(), normk=nn.LayerNorm(d)), norm=nn.LayerNorm(d), mlp=Mlp(d)) for _ in range(3)
        )
        for i, layer in enumerate(self.layers):
            layer.positional_embedding = nn.Parameter(torch.zeros((side * 2**i) ** 2, d))
            setattr(self, f"cgattention{i + 1}", Choice(d))
        self.tokens = nn.Embedding(2, d)
        vis: list = []
        for _ in range(enlargements):
            vis += [nn.Upsample(scale_factor=2, mode="bilinear")]
            vis += [nn.Sequential(nn.Conv2d(d, d, 3, padding=1, bias=False), nn.GroupNorm(groups, d), nn.ReLU())]
        self.proj = branch(vis=nn.Sequential(*vis, nn.Conv2d(d, d, 1)), audio_linear=nn.Linear(d, d + 1 if classes == 1 else classes * d))

    def forward(self, maps, audio, keep=None):
        v, tokens = maps[3], self.tokens.weight[None].expand(len(audio), -1, -1)
        for i, fine in enumerate(maps[2::-1]):
            v = F.interpolate(v, fine.shape[2:], mode="bilinear", align_corners=True)
            v = self.fuses[i].fusion(torch.cat([v, fine], 1))
            layer = self.layers[i]
            load = layer.loadtoken
            entering = load.cross_attn.v_proj(load.normk(audio))
            entering = load.cross_attn.proj(entering if keep is None else entering * keep[:, None])
            tokens = torch.stack([tokens[:, 0], tokens[:, 1] + entering], 1)
            tokens = layer.mlp(layer.norm(tokens))
            tokens = getattr(self, f"cgattention{i + 1}")(tokens, v, layer.positional_embedding)
        m, numbers = self.proj.vis(v), self.proj.audio_linear(tokens[:, 1])
        weights = numbers[:, : self.classes * self.width].unflatten(1, (self.classes, self.width))
        logits = torch.einsum("nkd,ndhw->nkhw", weights, m)
        if self.classes == 1:
            logits = logits + numbers[:, -1, None, None, None]
        return F.interpolate(logits, (self.mask, self.mask), mode="bilinear", align_corners=True), tokens


class SelM(nn.Module):
    def __init__(self, encoder, size: int, frames: int, d: int, groups: int, enlargements: int, classes: int, mask: int):
        super().__init__()
        self.frames, self.is_pvt = frames, hasattr(encoder, "patch_embed1")
        setattr(self, "encoder_backbone" if self.is_pvt else "resnet", encoder)
        self.audio_proj, self.audio_norm = nn.Linear(128, d), nn.LayerNorm(d)
        for i, c in enumerate(encoder.channels, 1):
            setattr(encoder if self.is_pvt else self, f"DAM_Fusion{i}", Fusion(c, d))
            setattr(self, f"in_proj{i}", nn.Sequential(nn.Conv2d(c, d, 1), nn.GroupNorm(groups, d)))
        setattr(self, "tem_att" if self.is_pvt else "BCSM", Gates(d))
        self.decoder = Decoder(d, groups, size // 16, enlargements, classes, mask)

    def forward(self, frames, embedding, keep=None):
        """One clip after the other, so that none sees another -> logits and the last tokens."""
        parts = zip(frames.split(self.frames), embedding.split(self.frames), [None] * len(frames) if keep is None else keep.split(self.frames))
        logits, tokens = zip(*(self.clip(*part) for part in parts))
        return torch.cat(logits), torch.cat(tokens)

    def clip(self, frames, embedding, keep):
        kept = (lambda x: x) if keep is None else (lambda x: x * keep.view(-1, *[1] * (x.dim() - 1)))
        encoder = self.encoder_backbone if self.is_pvt else self.resnet
        audio = kept(self.audio_norm(self.audio_proj(embedding)))[..., None]
        x, maps = encoder.stem(kept(frames)), []
        for i in range(4):
            tokens, height, width = encoder.stage(i, x)
            x = tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)
            x, audio = getattr(encoder if self.is_pvt else self, f"DAM_Fusion{i + 1}")(x, audio, keep)
            maps.append(getattr(self, f"in_proj{i + 1}")(kept(x)))
        maps, audio = (self.tem_att if self.is_pvt else self.BCSM)(maps, audio[..., 0])
        logits, tokens = self.decoder(maps, audio, keep)
        return kept(logits), tokens

    def gap(self):
        """The smallest distance of a choice between tokens from a tie, of the last clip."""
        return min(getattr(self.decoder, f"cgattention{i}").gap.item() for i in (1, 2, 3))
