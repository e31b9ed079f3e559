"""Broyden's method and the training steps of a DEQ in plain PyTorch, the other side of compare_pytorch.py."""

import torch
import torch.nn.functional as F


class LowRank:
    """H = -I + sum_k u_k v_k^T for every sample, as the reference keeps it: `u` [B,N,T] has the pairs innermost."""

    def __init__(self, like, limit):
        batch, n = like.shape
        self.u = like.new_zeros(batch, n, limit)
        self.vt = like.new_zeros(batch, limit, n)
        self.count = 0

    def matvec(self, x):
        if self.count == 0:
            return -x
        vx = torch.einsum("bdi,bi->bd", self.vt[:, : self.count], x)
        return -x + torch.einsum("bid,bd->bi", self.u[:, :, : self.count], vx)

    def rmatvec(self, x):
        if self.count == 0:
            return -x
        xu = torch.einsum("bi,bid->bd", x, self.u[:, :, : self.count])
        return -x + torch.einsum("bd,bdi->bi", xu, self.vt[:, : self.count])

    def append(self, u, v):
        self.u[:, :, self.count] = torch.nan_to_num(u)
        self.vt[:, self.count] = torch.nan_to_num(v)
        self.count += 1


def broyden(f, z0, steps, tolerance=0.0):
    """Good Broyden on f(z) - z = 0, norms over the whole batch. Returns the iterate of lowest residual and H."""
    z = z0
    g = f(z) - z
    inverse = LowRank(z, steps)
    best, lowest = z, float("inf")
    step = g
    for _ in range(steps):
        new = z + step
        fz = f(new)
        g_new = fz - new
        dz, dg = new - z, g_new - g
        z, g = new, g_new
        residual = (g.norm() / (fz.norm() + 1e-9)).item()
        if residual < lowest:
            best, lowest = z, residual
        if residual < tolerance:
            break
        v = inverse.rmatvec(dz)
        u = (dz - inverse.matvec(dg)) / torch.einsum("bi,bi->b", v, dg).unsqueeze(1)
        inverse.append(u, v)
        step = -inverse.matvec(g)
    return best, inverse


class State:
    """Branches as one [B, N] matrix and back."""

    def __init__(self, shapes):
        self.shapes = shapes
        self.sizes = [c * h * w for c, h, w in shapes]

    def split(self, z):
        parts = z.split(self.sizes, dim=1)
        return [p.reshape(-1, *s) for p, s in zip(parts, self.shapes)]

    @staticmethod
    def join(parts):
        return torch.cat([p.flatten(1) for p in parts], dim=1)


def solve(model, image, masks=None, steps=18, tolerance=0.0):
    """z* without a tape. Returns (z*, H, injection with tape, State)."""
    model.begin(image.shape[0], masks)
    injection = model.inject(image)
    state = State(model.shapes(image))
    z0 = image.new_zeros(image.shape[0], sum(state.sizes))
    with torch.no_grad():
        z, inverse = broyden(lambda z: State.join(model.fullstage(state.split(z), injection)), z0, steps, tolerance)
    return z, inverse, injection, state


def training_loss(model, image, labels, estimator, steps=18, backward_steps=20, tolerance=0.0,
                  backward_tolerance=0.0, masks=None):
    """Loss whose backward pass uses `estimator`: exact (Broyden on the adjoint), shine or jfb."""
    z, inverse, injection, state = solve(model, image, masks, steps, tolerance)
    z.requires_grad_()
    y = State.join(model.fullstage(state.split(z), injection))
    head_in = y.clone()

    def adjoint(w):
        if estimator == "jfb":
            return w
        if estimator == "shine":
            return -inverse.rmatvec(w)
        handle.remove()  # products with J must not come back here
        vjp = lambda u: torch.autograd.grad(y, z, u, retain_graph=True)[0] + w
        return broyden(vjp, torch.zeros_like(w), backward_steps, backward_tolerance)[0]

    handle = y.register_hook(adjoint)
    logits = model.head(state.split(head_in))
    return F.cross_entropy(logits, labels), logits
