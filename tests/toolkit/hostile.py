"""Archives that no honest program makes, for everything in the house that reads one."""

import io
import tarfile
from typing import Final

from hypothesis import strategies as st

_SIZES: Final = st.one_of(
    st.integers(0, 2000),
    st.sampled_from([-1, -512, -1024, -(1 << 62), 1 << 33, (1 << 62), 511, 512, 513]),
)
_TYPES: Final = st.sampled_from(
    [*(bytes([n]) for n in b"01234567xgLKSNVDM"), b"\0", b"\xff"],
)
_NAMES: Final = st.sampled_from(
    [
        "a",
        "a/b",
        "../a",
        "/a",
        ".",
        "",
        "a/../..",
        "x" * 99,
        "a\\b",
        "ä",
        "\udcff",
        "link/a",
        "link",
    ]
)
_PAX: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["path", "linkpath", "size", "mtime", "GNU.sparse.size", "GNU.sparse.map", "uid",
             "GNU.sparse.major", "GNU.sparse.name", "hdrcharset", "GNU.sparse.realsize"]
        ),
        st.sampled_from(
            ["0", "-1", "-512", "nan", "inf", "1e300", "99999999999999999999", "a", "/etc/x", "..",
             "1,2,3", "BINARY", "", "é"]
        ),
    ),
    max_size=3,
)  # fmt: skip


def _checked(header: bytearray) -> bytes:
    """Return a header with the checksum that belongs to it."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _number(value: int) -> bytes:
    """Return a field of 12 bytes, base 256 where octal cannot tell it."""
    if 0 <= value < 8**11:
        return b"%011o\0" % value
    return b"\xff" + (value & ((1 << 88) - 1)).to_bytes(11, "big") if value < 0 else (
        b"\x80" + value.to_bytes(11, "big")
    )  # fmt: skip


def _record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode("utf-8", "surrogateescape")
    size = len(body) + 1
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


@st.composite
def _member(draw: st.DrawFn) -> bytes:
    info = tarfile.TarInfo(draw(_NAMES))
    info.linkname = draw(_NAMES)
    info.mode = draw(st.sampled_from([0o644, 0o7777, 0]))
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))[-512:]
    kind = draw(_TYPES)
    header[156:157] = kind
    size = draw(_SIZES)
    header[124:136] = _number(size)
    data = b"evil" * (max(0, min(size, 2048)) // 4 + 1)
    if kind in {b"x", b"g"}:
        data = b"".join(_record(*each) for each in draw(_PAX))
        header[124:136] = _number(draw(st.sampled_from([len(data), size])))
    elif kind in {b"L", b"K"}:
        data = draw(_NAMES).encode("utf-8", "surrogateescape") + b"\0"
        header[124:136] = _number(len(data))
    return _checked(header) + data + b"\0" * (-len(data) % 512)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Return the bytes of a tar with lying headers, odd members and perhaps an early end."""
    text = b"".join(draw(st.lists(_member(), max_size=6)))
    if draw(st.booleans()):
        text += b"\0" * 1024
    if draw(st.booleans()) and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.binary(max_size=8)) + text[at + 8 :]
    return text


def nested(count: int) -> bytes:
    """Return a tar whose only member has ``count`` long names before it."""
    out = io.BytesIO()
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 2
    for _ in range(count):
        out.write(name.tobuf(tarfile.GNU_FORMAT) + b"a\0" + b"\0" * 510)
    return out.getvalue() + tarfile.TarInfo("a").tobuf() + b"\0" * 1024
