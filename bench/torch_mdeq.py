"""The multiscale DEQ in plain PyTorch, the other side of compare_pytorch.py.

Written from the published description of the model. Parameters carry the reference implementation's names, so weights
can be loaded as they are. NCHW, float32 or float64.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Conv(nn.Module):
    """A convolution without bias; with `normed`, its weight is g v / |v|, formed once a pass by `refresh`."""

    def __init__(self, cin, cout, kernel, stride=1, normed=False):
        super().__init__()
        self.stride, self.pad, self.normed = stride, kernel // 2, normed
        plain = nn.Conv2d(cin, cout, kernel, bias=False).weight.detach().clone()
        if normed:
            self.weight_g = nn.Parameter(plain.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
            self.weight_v = nn.Parameter(plain)
        else:
            self.weight = nn.Parameter(plain.normal_(0, 0.01))

    def refresh(self):
        if self.normed:
            self.folded = self.weight_v * (self.weight_g / self.weight_v.flatten(1).norm(dim=1).view(-1, 1, 1, 1))

    def forward(self, x):
        return F.conv2d(x, self.folded if self.normed else self.weight, stride=self.stride, padding=self.pad)


class Block(nn.Module):
    def __init__(self, channels, expansion, groups, big, affine):
        super().__init__()
        inner = channels * expansion
        self.conv1 = Conv(channels, inner, 5 if big >= 1 else 3, normed=True)
        self.conv2 = Conv(inner, channels, 5 if big >= 2 else 3, normed=True)
        self.gn1 = nn.GroupNorm(groups, inner, affine=affine)
        self.gn2 = nn.GroupNorm(groups, channels, affine=affine)
        self.gn3 = nn.GroupNorm(groups, channels, affine=affine)
        self.mask = None

    def forward(self, h, injection):
        out = self.conv2(F.relu(self.gn1(self.conv1(h))))
        if self.mask is not None:
            out = out * self.mask
        if injection is not None:
            out = out + injection
        return self.gn3(F.relu(self.gn2(out) + h))


class ConvNorm(nn.Module):
    def __init__(self, cin, cout, kernel, stride, groups, affine, normed=False):
        super().__init__()
        self.conv = Conv(cin, cout, kernel, stride, normed)
        self.gnorm = nn.GroupNorm(groups, cout, affine=affine)

    def forward(self, x):
        return self.gnorm(self.conv(x))


class Fuse(nn.Module):
    """From branch `source` to branch `target`."""

    def __init__(self, channels, target, source, groups, affine):
        super().__init__()
        self.levels = source - target
        if self.levels > 0:
            self.net = ConvNorm(channels[source], channels[target], 1, 1, groups, affine)
        else:
            down = -self.levels
            outs = [channels[source]] * (down - 1) + [channels[target]]
            self.net = nn.ModuleList(ConvNorm(channels[source], out, 3, 2, groups, affine) for out in outs)

    def forward(self, x):
        if self.levels > 0:
            return F.interpolate(self.net(x), scale_factor=2**self.levels, mode="nearest")
        for i, stage in enumerate(self.net):
            x = stage(x if i == 0 else F.relu(x))
        return x


class Branch(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


class Transformation(nn.Module):
    """f(z, x) over all branches."""

    def __init__(self, m):
        super().__init__()
        channels, groups = m["channels"], m["num_groups"]
        branches = range(len(channels))
        self.branches = nn.ModuleList(
            Branch(Block(channels[i], m["expansion"], groups, m["big_kernels"][i], m["block_gn_affine"])
                   for _ in range(m["num_blocks"][i])) for i in branches)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(nn.Identity() if i == j else Fuse(channels, i, j, groups, m["fuse_gn_affine"])
                          for j in branches) for i in branches)
        self.post_fuse_layers = nn.ModuleList(
            ConvNorm(c, c, 1, 1, groups // 2, m["post_gn_affine"], normed=True) for c in channels)

    def forward(self, z, injection):
        out = []
        for i, branch in enumerate(self.branches):
            h = z[i]
            for k, block in enumerate(branch.blocks):
                h = block(h, injection if i == 0 and k == 0 else None)
            out.append(h)
        fused = [sum(layer(out[j]) for j, layer in enumerate(row)) for row in self.fuse_layers]
        return [post(F.relu(y)) for post, y in zip(self.post_fuse_layers, fused)]


class Bottleneck(nn.Module):
    def __init__(self, cin, planes):
        super().__init__()
        self.conv1, self.bn1 = Conv(cin, planes, 1), nn.BatchNorm2d(planes, affine=False)
        self.conv2, self.bn2 = Conv(planes, planes, 3), nn.BatchNorm2d(planes, affine=False)
        self.conv3, self.bn3 = Conv(planes, 4 * planes, 1), nn.BatchNorm2d(4 * planes, affine=False)
        self.downsample = None
        if cin != 4 * planes:
            self.downsample = nn.Sequential(Conv(cin, 4 * planes, 1), nn.BatchNorm2d(4 * planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        short = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(out)) + short)


def small_init(conv):
    """N(0, 0.01^2) for weight and bias, as every convolution without weight norm."""
    nn.init.normal_(conv.weight, 0, 0.01)
    nn.init.normal_(conv.bias, 0, 0.01)
    return conv


class Mdeq(nn.Module):
    """`m` is the [model] section of a deq configuration with every key filled."""

    def __init__(self, m):
        super().__init__()
        self.config = m
        c, hc, down = m["channels"], m["head_channels"], m["downsample_times"]
        stem = []
        for level in range(max(2, down)):
            stem += [Conv(3 if level == 0 else c[0], c[0], 3, 2 if down > level else 1), nn.BatchNorm2d(c[0]), nn.ReLU()]
        self.downsample = nn.Sequential(*stem)
        self.stage0 = None
        if not (down == 0 and len(c) <= 2):
            self.stage0 = nn.Sequential(Conv(c[0], c[0], 1), nn.BatchNorm2d(c[0]), nn.ReLU())
        self.fullstage = Transformation(m)
        self.incre_modules = nn.ModuleList(nn.Sequential(Bottleneck(a, b)) for a, b in zip(c, hc))
        self.downsamp_modules = nn.ModuleList(
            nn.Sequential(small_init(nn.Conv2d(4 * a, 4 * b, 3, 2, 1)), nn.BatchNorm2d(4 * b), nn.ReLU())
            for a, b in zip(hc, hc[1:]))
        self.final_layer = nn.Sequential(small_init(nn.Conv2d(4 * hc[-1], m["final_channels"], 1)),
                                         nn.BatchNorm2d(m["final_channels"]), nn.ReLU())
        self.classifier = nn.Linear(m["final_channels"], m["classes"])

    def inject(self, image):
        x = self.downsample(image)
        return x if self.stage0 is None else self.stage0(x)

    def begin(self, batch, masks=None):
        """What is constant during a solve: folded weights and dropout masks."""
        for module in self.fullstage.modules():
            if isinstance(module, Conv):
                module.refresh()
        p = self.config["dropout"] if self.training else 0.0
        for i, branch in enumerate(self.fullstage.branches):
            for k, block in enumerate(branch.blocks):
                block.mask = masks[i] if masks is not None and k == 0 else None
                if masks is None and p > 0:
                    shape = (batch, self.config["channels"][i], 1, 1)
                    block.mask = torch.bernoulli(next(self.parameters()).new_full(shape, 1 - p)) / (1 - p)

    def shapes(self, image):
        h, w = image.shape[2:]
        for _ in range(self.config["downsample_times"]):
            h, w = (h + 1) // 2, (w + 1) // 2
        return [(c, h >> i, w >> i) for i, c in enumerate(self.config["channels"])]

    def head(self, z):
        y = self.incre_modules[0](z[0])
        for i, down in enumerate(self.downsamp_modules):
            y = self.incre_modules[i + 1](z[i + 1]) + down(y)
        return self.classifier(self.final_layer(y).mean(dim=(2, 3)))
