"""What is wrong with a file: faults of its kind, and bytes that were cut off or changed."""

from collections.abc import Sequence

from hypothesis import strategies as st


def some_of(draw: st.DrawFn, faults: Sequence[str]) -> set[str]:
    """None in one case of three, mostly one, at times two."""
    n = draw(st.sampled_from([0, 0, 1, 1, 1, 2]))
    return {draw(st.sampled_from(faults)) for _ in range(n)}


def damaged(draw: st.DrawFn, content: bytes, *, behind: int = 0) -> bytes:
    """The content, which must be longer than `behind`, with damage behind its first bytes."""
    hurt = bytearray(content)
    place = draw(st.integers(behind, len(content) - 1))
    match draw(st.sampled_from(["cut", "change", "insert", "remove"])):
        case "cut":
            del hurt[place:]
        case "change":
            for _ in range(draw(st.integers(1, 4))):
                hurt[draw(st.integers(behind, len(content) - 1))] = draw(
                    st.one_of(st.integers(0, 255), st.sampled_from(b'0123456789,.;\n"'))
                )
        case "insert":
            hurt[place:place] = draw(st.binary(min_size=1, max_size=8))
        case "remove":
            del hurt[place : place + draw(st.integers(1, 8))]
    return bytes(hurt)
