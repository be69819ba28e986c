"""The published audio-visual model in PyTorch, with the parameter names of its checkpoints.

Written from the paper and the published configurations. In evaluation mode it agrees with the published implementation
to the last bit. Dropout and drop path are left out: the references are computed without them.
"""
import torch
from torch import nn
from torch.nn import functional as F

from encoders import Vggish, visual_encoder


class Messenger(nn.Module):
    """One block between audio [B*T,1,128] and visual tokens [B*T,HW,C]: both, updated."""

    def __init__(self, c, queries=5, t=5, heads=8, hidden=128):
        super().__init__()
        self.heads, self.t, self.nq, self.hidden = heads, t, queries, hidden
        self.intermediate_queries = nn.Embedding(queries, hidden)
        self.intermediate_query_proj = nn.Linear(hidden, 2 * hidden)
        self.audio_feat_proj, self.vis_feat_proj = nn.Linear(128, 2 * hidden), nn.Linear(c, 2 * hidden)
        self.audio_query_proj, self.vis_query_proj = nn.Linear(hidden, 2 * hidden), nn.Linear(hidden, 2 * hidden)
        self.audio_q_proj, self.visual_q_proj = nn.Linear(128, hidden), nn.Linear(c, hidden)
        self.self_attn = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.vis_norm, self.audio_norm = nn.LayerNorm(2 * hidden), nn.LayerNorm(2 * hidden)
        self.vis_out, self.audio_out = nn.Linear(hidden, c), nn.Linear(hidden, c)

    def attend(self, q, k, v):
        b = q.shape[0]
        split = lambda x: x.reshape(b, -1, self.heads, self.hidden // self.heads).transpose(1, 2)
        scores = (split(q) @ split(k).transpose(-2, -1) * (self.hidden // self.heads) ** -0.5).softmax(-1)
        return (scores @ split(v)).transpose(1, 2).reshape(b, -1, self.hidden)

    def forward(self, audio, visual):
        bt = visual.shape[0]
        queries = self.intermediate_query_proj(self.intermediate_queries.weight).chunk(2, -1)
        q_audio, q_visual = (q.expand(bt, -1, -1) for q in queries)
        collect = lambda q, norm, proj, x: self.attend(q, *norm(proj(x)).chunk(2, -1)) + q
        m_audio = collect(q_audio, self.audio_norm, self.audio_feat_proj, audio)
        m_visual = collect(q_visual, self.vis_norm, self.vis_feat_proj, visual)
        # The queries of all frames of a clip attend to each other.
        m = torch.cat((m_audio, m_visual), 1).reshape(bt // self.t, self.t * 2 * self.nq, self.hidden)
        m = self.self_attn(m, m, m)[0].reshape(bt, 2 * self.nq, self.hidden)
        m_audio, m_visual = m.chunk(2, 1)
        audio_out = self.attend(self.audio_q_proj(audio), *self.vis_query_proj(m_visual).chunk(2, -1))
        visual_out = self.attend(self.visual_q_proj(visual), *self.audio_query_proj(m_audio).chunk(2, -1))
        return self.audio_out(audio_out + audio), self.vis_out(visual_out) + visual


class Bridger(nn.Module):
    """A messenger after every stage of the visual encoder."""

    def __init__(self, channels, t):
        super().__init__()
        self.Fusers = nn.ModuleList(Messenger(c, t=t) for c in channels)

    def forward(self, audio, x, encoder):
        audios, visuals = [], []
        x = encoder.stem(x)
        for i, fuser in enumerate(self.Fusers):
            x, h, w = encoder.stage(i, x)
            a, x = fuser(audio, x)
            x = x.transpose(1, 2).reshape(x.shape[0], -1, h, w)
            audios.append(a)
            visuals.append(x)
        return audios, visuals


class SpatialAttention(nn.Module):
    def __init__(self, scale, c, heads):
        super().__init__()
        self.scale = scale
        self.kv_proj = nn.Linear(c, 2 * c)
        self.self_attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.norm = nn.LayerNorm(c)

    def forward(self, x):
        reduced = x
        if self.scale > 1:
            reduced = F.interpolate(x, size=(x.shape[2] // self.scale, x.shape[3] // self.scale), mode="nearest")
        k, v = self.kv_proj(reduced.flatten(2).transpose(1, 2)).chunk(2, -1)
        x = x.flatten(2).transpose(1, 2)
        return self.norm(x + self.self_attn(x, k, v)[0])


class ChannelAttention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.atten = nn.MultiheadAttention(c, heads, batch_first=True)

    def forward(self, audio, x):
        return self.atten(audio, x, x)[0] * x + x


class Fusion(nn.Module):
    def __init__(self, scale, c, heads, channel):
        super().__init__()
        self.channel = channel
        self.spatial_attn = SpatialAttention(scale, c, heads)
        if channel:
            self.channel_attn = ChannelAttention(c, heads)
        else:
            self.cross_attn = nn.MultiheadAttention(c, heads, batch_first=True)
        self.kv_proj = nn.Linear(c, 2 * c)
        self.norm1, self.norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        # The empty places are those of dropout in the checkpoints' numbering.
        self.ffn = nn.Sequential(nn.Linear(c, 4 * c), nn.ReLU(), nn.Identity(), nn.Linear(4 * c, c))

    def forward(self, audio, x):
        b, c, h, w = x.shape
        x = self.spatial_attn(x)
        if self.channel:
            y = self.channel_attn(audio, x)
        else:
            y = self.cross_attn(x, *self.kv_proj(audio).chunk(2, -1))[0] + x
        return self.norm2(self.ffn(self.norm1(y))).transpose(1, 2).reshape(b, c, h, w)


class Decoder(nn.Module):
    """Fuses audio [B,1,C] and visual [B,C,H,W] of four stages: logits [B,classes,4H,4W] of the first stage's size.

    `project` reduces channels before fusing, as with ResNet-50; `channel` fuses by channel attention.
    """

    def __init__(self, channels, heads=8, conv_dim=256, classes=1, project=False, channel=False):
        super().__init__()
        self.project, self.stages = project, len(channels)
        for i, (scale, c) in enumerate(zip((8, 4, 2, 1), channels)):
            self.add_module(f"fusion_block_{i}", Fusion(scale, conv_dim if project else c, heads, channel))
            self.add_module(f"adapter_{i + 1}", nn.Conv2d(c, conv_dim, 1, bias=False))
            self.add_module(f"layer_{i + 1}", nn.Conv2d(conv_dim, conv_dim, 3, 1, 1, bias=False))
            if project:
                self.add_module(f"audio_proj_{i + 1}", nn.Linear(c, conv_dim))
        self.mask_features = nn.Conv2d(conv_dim, classes, 3, 1, 1)

    def forward(self, audios, visuals):
        out = None
        for i in reversed(range(self.stages)):
            fuse, lateral = getattr(self, f"fusion_block_{i}"), getattr(self, f"adapter_{i + 1}")
            if self.project:
                x = fuse(getattr(self, f"audio_proj_{i + 1}")(audios[i]), lateral(visuals[i]))
            else:
                x = lateral(fuse(audios[i], visuals[i]))
            if out is not None:
                x = x + F.interpolate(out, x.shape[-2:], mode="nearest")
            out = F.relu(getattr(self, f"layer_{i + 1}")(x))
        return self.mask_features(F.interpolate(out, scale_factor=4, mode="bilinear"))


class Model(nn.Module):
    """log-mel [B*T,1,96,64] (or embeddings [B*T,128] if `audio` is False) and frames [B*T,3,H,W] -> logits.

    `backbone` is "res50" or a variant of PVTv2. `keep` [B*T] is 0 for frames that only pad a clip. Both encoders are frozen.
    """

    def __init__(self, backbone, classes=1, t=5, conv_dim=256, audio=True):
        super().__init__()
        self.visual_encoder = visual_encoder(backbone)
        if audio:
            self.audio_encoder = Vggish()
        channels = self.visual_encoder.channels
        self.bridger = Bridger(channels, t)
        self.decoder = Decoder(channels, conv_dim=conv_dim, classes=classes, project=backbone == "res50")
        for name, p in self.named_parameters():
            p.requires_grad = not name.startswith(("visual_encoder.", "audio_encoder."))

    def forward(self, log_mel, frames, keep=None):
        with torch.no_grad():
            embedding = self.audio_encoder(log_mel) if hasattr(self, "audio_encoder") else log_mel
        audios, visuals = self.bridger(embedding.unsqueeze(1), frames, self.visual_encoder)
        if keep is None:
            return self.decoder(audios, visuals)
        keep = keep.view(-1, 1, 1, 1)
        return self.decoder(audios, [v * keep for v in visuals]) * keep
