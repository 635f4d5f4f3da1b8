"""Points of edwards25519 in plain Python: what is needed to make signatures at the edges.

Shares no code with `ledger.crypto` and is slow on purpose.
"""

from functools import lru_cache
from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    """The sum of two points."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P
    return x, y


@lru_cache(maxsize=64)
def multiply(scalar: int, point: Point) -> Point:
    """So many times a point."""
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def encode(point: Point) -> bytes:
    """RFC 8032 section 5.1.2."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def root_of(square: int) -> int | None:
    """A square root modulo P, if there is one."""
    for root in (pow(square, (P + 3) // 8, P), pow(square, (P + 3) // 8, P) * pow(2, P // 4, P)):
        if root * root % P == square % P:
            return root % P
    return None


def with_y(y: int) -> Point | None:
    """A point of this y, if there is one."""
    x = root_of((y * y - 1) * pow(D * y * y + 1, P - 2, P) % P)
    return None if x is None else (x, y % P)


def base() -> Point:
    """The generator: y = 4/5, and an even x."""
    point = with_y(4 * pow(5, P - 2, P) % P)
    if point is None:
        raise ArithmeticError
    return (P - point[0], point[1]) if point[0] & 1 else point


def torsion() -> list[Point]:
    """The eight points of small order, as multiples of one of order 8."""
    for y in range(2, 1000):
        point = with_y(y)
        generator = multiply(L, point) if point else IDENTITY
        if multiply(4, generator) != IDENTITY:
            return [multiply(n, generator) for n in range(8)]
    raise ArithmeticError


BASE = base()
TORSION = torsion()


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    """The number that binds a signature to its message. It is reduced modulo L first, as libsodium
    and OpenSSL do: on a point of small order the unreduced number gives another multiple.
    """
    return int.from_bytes(sha512(r + a + message).digest(), "little") % L
