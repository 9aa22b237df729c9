"""Numbers of things, in sentences."""


def counted(n: int, one: str, more: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{n} {one if n == 1 else more}"
