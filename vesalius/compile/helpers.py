"""Functions that emitted text brings along when it needs them; their source is copied into it."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def orthogonal_rows(rows: int, width: int) -> torch.Tensor:
    """As long as normal ones, and orthogonal to each other in blocks of `width`."""
    blocks = [torch.linalg.qr(block.T)[0].T for block in torch.randn(rows, width).split(width)]
    return torch.cat(blocks) * torch.randn(rows, width).norm(dim=1, keepdim=True)


def masked_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Softmax, with zeros instead of NaN where all entries are minus infinity."""
    if x.shape[dim] == 0:
        return x
    hidden = x.amax(dim, keepdim=True) == -torch.inf
    return torch.softmax(x.masked_fill(hidden, 0.0), dim).masked_fill(hidden, 0.0)


def quick_masked_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The same, where the code may look at values: mostly no row is hidden whole."""
    if torch.compiler.is_exporting() or (x.is_cuda and torch.cuda.is_current_stream_capturing()):
        return masked_softmax(x, dim)
    try:
        hidden = x.shape[dim] == 0 or bool((x.amax(dim) == -torch.inf).any())
    except RuntimeError:  # inside torch.func.vmap there are no values to look at
        hidden = True
    return masked_softmax(x, dim) if hidden else torch.softmax(x, dim)


def quick_tanh(x: torch.Tensor) -> torch.Tensor:
    """Hyperbolic tangents, as 2·σ(2x) − 1 in single precision on a CPU: six times as quick there.

    Near zero that is as exact as one, not as x is: to 10⁻⁷.
    """
    if x.is_cuda or x.dtype != torch.float32 or torch.compiler.is_exporting():
        return torch.tanh(x)
    return torch.add(x.new_tensor(-1.0), torch.sigmoid(x + x), alpha=2)


def numbers_on(
    values: object,
    dtype: torch.dtype,
    device: torch.device,
    kept: dict[object, torch.Tensor] = {},  # noqa: B006
) -> torch.Tensor:
    """A tensor of these numbers; on a GPU it is made once, since each copy there is waited for."""
    if device.type == "cpu" or torch.compiler.is_compiling():
        return torch.tensor(values, dtype=dtype, device=device)
    key = (values, dtype, device)
    if key in kept:
        return kept[key]
    with torch.inference_mode(False):
        made = torch.tensor(values, dtype=dtype, device=device)
    if type(made) is torch.Tensor:  # nothing that only stands for one while something is traced
        kept[key] = made
    return made


def first_sorted(
    x: torch.Tensor, count: int, dim: int, descending: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and places of the first entries of a stable sort, which sorts all the others, too.

    `torch.topk` takes any of equal entries, so rows in which the choice is not one are sorted.
    """
    if count == 1 and descending:
        return torch.max(x, dim, keepdim=True)
    length = x.shape[dim]
    if x.device.type == "cpu" and not torch.compiler.is_compiling() and 2 * count <= length:
        try:
            rows = x.detach().movedim(dim, -1)
            values, places = torch.topk(rows, count + 1, -1, descending)
            earlier, later = values[..., :-1], values[..., 1:]
            alike = ~(earlier > later if descending else earlier < later).all(-1)
            places = places[..., :count].contiguous()
            ordered = torch.sort(rows[alike], dim=-1, descending=descending, stable=True)[1]
            places[alike] = ordered[..., :count]
            places = places.movedim(-1, dim)
            return x.gather(dim, places), places
        except RuntimeError:  # inside torch.func.vmap there are no values to look at
            pass
    values, places = torch.sort(x, dim=dim, descending=descending, stable=True)
    return values.narrow(dim, 0, count), places.narrow(dim, 0, count)


def padded(x: torch.Tensor, pad: tuple[int, ...], value: float = 0.0) -> torch.Tensor:
    """`F.pad`, which copies even where there is nothing to pad."""
    if torch.compiler.is_compiling() or any(pad):
        return F.pad(x, pad, value=value)
    return x


def taken(table: torch.Tensor, places: torch.Tensor, shared: int) -> torch.Tensor:
    """table[s…, places[s…, k]]: whole slices, each group `s…` by places of its own.

    `take_along_dim` would read entry by entry. A negative place is outside, as any other such.
    """
    lead = table.shape[:shared]
    table, places = table.flatten(0, shared - 1), places.flatten(0, shared - 1)
    places = places.masked_fill(places < 0, table.shape[1])
    groups = torch.arange(table.shape[0], device=places.device)
    return table[groups[:, None], places].unflatten(0, lead)


def sums_before(x: torch.Tensor, dim: int) -> torch.Tensor:
    """y[n] = Σ_{m < n} x[m] along a dimension.

    A CPU steps through a `cumsum` entry by entry, from one page of memory to the next where slices
    are long: those are added whole.
    """
    length = x.shape[dim]
    quick = torch.compiler.is_compiling() or x.device.type != "cpu" or x.element_size() < 4
    if quick or length < 2 or x.numel() < 8192 * length:
        moved = F.pad(x, [0, 0] * (x.ndim - 1 - dim) + [1, 0])
        return moved.narrow(dim, 0, length).cumsum(dim)
    sums = [torch.zeros_like(x.select(dim, 0))]
    for y in x.unbind(dim)[:-1]:
        sums.append(sums[-1] + y)
    return torch.stack(sums, dim)


def windows(
    x: torch.Tensor, dim: int, count: int, width: int, stride: int = 1, dilation: int = 1
) -> torch.Tensor:
    """`count` sliding windows along a dimension: positions stand there, offsets come last."""
    if count == 0:
        return x.narrow(dim, 0, 0)[..., None].expand(*(-1 for _ in x.shape), width)
    views = x.unfold(dim, dilation * (width - 1) + 1, stride)
    return views.narrow(dim, 0, count)[..., ::dilation]


def fourier(
    real: torch.Tensor, imaginary: torch.Tensor, dim: int, inverse: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The discrete Fourier transform of a pair of real tensors, as such a pair."""
    if real.numel() == 0:
        return real, imaginary
    wide = torch.promote_types(real.dtype, torch.float32)
    z = torch.complex(real.to(wide), imaginary.to(wide))
    z = torch.fft.ifft(z, dim=dim) if inverse else torch.fft.fft(z, dim=dim)
    return z.real.to(real.dtype), z.imag.to(real.dtype)


def padded_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention; on a CPU, zero channels make keys and values as wide as the fused kernel needs."""
    more = q.shape[-1] - v.shape[-1]
    if more == 0 or q.device.type != "cpu":
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    q, k = F.pad(q, (0, max(0, -more))), F.pad(k, (0, max(0, -more)))
    out = F.scaled_dot_product_attention(
        q,
        k,
        F.pad(v, (0, max(0, more))),
        attn_mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    return out[..., : v.shape[-1]]


def convolved(h: torch.Tensor, x: torch.Tensor, way: str = "causal") -> torch.Tensor:
    """Σ_m h[n − m]·x[m] along the last dimension, as the product of spectra.

    Both are padded so far that nothing comes round at the end, unless the way is "circular". The
    way "" has distances of both signs: h[n − m + |m|], for as many n as h is longer than x.
    """
    count, dtype = x.shape[-1], torch.promote_types(h.dtype, x.dtype)
    start, stop = (count, h.shape[-1]) if way == "" else (0, count)
    if h.numel() == 0 or x.numel() == 0:
        return (h.sum(-1, keepdim=True) * x.sum(-1, keepdim=True)).expand(
            *[-1] * (max(h.ndim, x.ndim) - 1), stop - start
        )
    wide = torch.promote_types(dtype, torch.float32)
    length = {"circular": count, "causal": 2 * count, "": h.shape[-1]}[way]
    if way != "circular" and not torch.compiler.is_compiling():
        # A length without large prime factors.
        length = min(k << (-(-length // k) - 1).bit_length() for k in (1, 3, 5, 9, 15))
    spectra = [torch.fft.rfft(y.to(wide), length) for y in (h, x)]
    y = torch.fft.irfft(spectra[0] * spectra[1], length)
    return y[..., start:stop].to(dtype)


def recurrent(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """h[n] = a[n]·h[n − 1] + x[n] along the last dimension, h[−1] = 0.

    About √n chunks go side by side through their positions, and then one after the other.
    """
    dtype, length, rank = x.dtype, x.shape[-1], max(a.ndim, x.ndim)
    if length == 0:
        return (a + x).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    a, x = a.to(wide), x.to(wide)
    size = max(1, int(length**0.5))
    count = -(-length // size)

    def cut(y: torch.Tensor) -> list[torch.Tensor]:
        y = y[(None,) * (rank - y.ndim)].movedim(-1, 0)
        y = F.pad(y, (0, 0) * (rank - 1) + (0, count * size - length)).contiguous()
        return list(y.unflatten(0, (count, size)).unbind(1))

    gates, new = cut(a), cut(x)
    kept, made = [gates[0]], [new[0] + torch.zeros_like(gates[0])]
    for gate, one in zip(gates[1:], new[1:], strict=True):
        kept.append(gate * kept[-1])
        made.append(torch.addcmul(one, gate, made[-1]))
    before = [torch.zeros_like(made[0][0])]
    for gate, one in zip(kept[-1][:-1].unbind(), made[-1][:-1].unbind(), strict=True):
        before.append(torch.addcmul(one, gate, before[-1]))
    h = torch.addcmul(torch.stack(made, 1), torch.stack(kept, 1), torch.stack(before)[:, None])
    return h.flatten(0, 1)[:length].movedim(0, -1).to(dtype)


def decayed_products(
    x: torch.Tensor, y: torch.Tensor, until: torch.Tensor, since: torch.Tensor, diagonal: int
) -> torch.Tensor:
    """Σ_c x[t, c]·y[s, c]·exp(until[t, c] − since[s, c]) where s ≤ t + diagonal, else 0.

    Levels without channels decay whole products. Others are put into the factors, halves of halves
    of all positions at a time, as what has faded from and to the middle: so no exponential grows
    where levels fall. `diagonal` is 0 or −1, and at 0 the two levels are one.
    """
    length, width = x.shape[-2], 1
    if until.shape[-1] == 1:
        seen = torch.ones(length, length, dtype=torch.bool, device=x.device).tril(diagonal)
        return x @ y.mT * torch.where(seen, until - since.mT, -torch.inf).exp()
    made = (x * y).sum(-1)[..., None, None] * (diagonal + 1)
    while width < length:
        (rows, late), (columns, early) = (
            [z.unflatten(-2, (-1, 2, width))[..., half, :, :] for z in pair]
            for half, pair in ((1, (x, until)), (0, (y, since)))
        )
        middle = early[..., -1:, :]
        rows, columns = rows * (late - middle).exp(), columns * (middle - early).exp()
        first, second = made.unflatten(-3, (-1, 2)).unbind(-3)
        below = torch.cat([rows @ columns.mT, second], -1)
        made, width = torch.cat([F.pad(first, (0, width)), below], -2), 2 * width
    return made.squeeze(-3)


def fast_weights(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    erase: torch.Tensor | None = None,
    decay: torch.Tensor | None = None,
) -> torch.Tensor:
    """o[n] = q[n]·S[n], S[n] = exp(decay[n])·S[n−1] + k[n]⊗(v[n] − erase[n]·S[n−1]), S[−1] = 0.

    A chunk of positions at a time: inside, what is written follows from a triangular system, and
    the state goes from one to the next. Shapes: q, k, erase (…, n, c), v (…, n, e), decay
    (…, n, c) or (…, n, 1). Yang et al., arXiv 2312.06635 and 2406.06484.
    """
    dtype, length = v.dtype, v.shape[-2]
    size = min(64, 1 << max(0, length - 1).bit_length())
    count = max(1, -(-length // size))

    def cut(x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x.to(torch.promote_types(dtype, torch.float32)), (0, 0, 0, count * size - length))
        return x.unflatten(-2, (count, size))

    q, k, v = cut(q), cut(k), cut(v)
    level = gate = torch.zeros_like(v[..., :1])
    if decay is not None:
        gate = cut(decay).clamp(min=-100.0)  # nothing is left then; no difference of infinities
        level = gate.cumsum(-2)
    last = level[..., -1:, :]
    inner = decayed_products(q, k, level, level, 0)
    kept, forgets = (k * (last - level).exp()).mT, last.exp().mT
    asked, erased = q * level.exp(), None
    if erase is not None:
        before, erase = level - gate, cut(erase)
        system = decayed_products(erase, k, before, level, -1)
        v, erased = (
            torch.linalg.solve_triangular(system, x, upper=False, unitriangular=True)
            for x in (v, erase * before.exp())
        )
    state, states, written = torch.zeros_like(kept[..., 0, :, :] @ v[..., 0, :, :]), [], []
    olds = [None] * count if erased is None else erased.unbind(-3)
    for new, key, fades, old in zip(
        v.unbind(-3), kept.unbind(-3), forgets.unbind(-3), olds, strict=True
    ):
        states.append(state)
        written.append(new if old is None else new - old @ state)
        state = torch.addcmul(key @ written[-1], fades, state)
    out = asked @ torch.stack(states, -3) + inner @ torch.stack(written, -3)
    return out.flatten(-3, -2)[..., :length, :].to(dtype)


def shifted(x: torch.Tensor) -> torch.Tensor:
    """y[…, n, m] = x[…, n, m − n + |n| − 1]: rows read one entry less far each, as a view."""
    n, d = x.shape[-2:]
    if n < 2:
        return x if n else x.new_zeros(*x.shape[:-1], d + 1)
    if x.stride(-2) == 0 and not torch.is_grad_enabled():  # one table for all rows: not repeated
        return x[..., 0, :].unfold(-1, d - n + 1, 1).flip(-2)
    return x.flatten(-2)[..., n - 1 : -1].unflatten(-1, (n, d - 1))[..., : d - n + 1]


def shifted_back(y: torch.Tensor) -> torch.Tensor:
    """x[…, n, m − n + |n| − 1] = y[…, n, m], and zeros elsewhere."""
    n, m = y.shape[-2:]
    if n < 2:
        return y if n else y[..., 1:]
    x = y.new_zeros(*y.shape[:-2], n * (n + m - 1))
    x[..., n - 1 : -1].unflatten(-1, (n, n + m - 2))[..., :m].copy_(y)
    return x.unflatten(-1, (n, n + m - 1))
