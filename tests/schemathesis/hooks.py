"""Values of the formats that only a libp2p network knows, for schemathesis."""

import hashlib
import os

import schemathesis
from hypothesis import strategies as st

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data: bytes) -> str:
    """The text of bytes in base 58, of which none begins with a zero here but the first."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def peer_id(seed: bytes) -> str:
    """The id of a peer with some Ed25519 key: an identity multihash of the encoded key."""
    return base58(b"\x00\x24\x08\x01\x12\x20" + hashlib.sha256(seed).digest())


LIVE = os.environ.get("GOSSIPSUB_PEERS", "").split()
UNKNOWN = st.binary(max_size=4).map(peer_id)
PEERS = st.one_of(st.sampled_from(LIVE), UNKNOWN) if LIVE else UNKNOWN
schemathesis.openapi.format("peer", PEERS)


def position(keys):
    """The positions in a list by rank: class, value and key of an item."""
    return st.tuples(st.integers(0, 9), st.integers(-1000, 1000), keys).map(lambda parts: ".".join(map(str, parts)))


schemathesis.openapi.format("peer_position", position(PEERS))
schemathesis.openapi.format("topic_position", position(st.text(max_size=20)))

# A closed port of this machine, and addresses that nobody has (RFC 5737).
schemathesis.openapi.format(
    "point",
    st.one_of(
        st.integers(1, 65535).map(lambda port: f"/ip4/192.0.2.1/tcp/{port}"),
        st.just("/ip4/127.0.0.1/tcp/9"),
    ),
)
schemathesis.openapi.format("humantime", st.from_regex(r"\A[1-9][0-9]{0,3}(ms|s|m)\Z"))
schemathesis.openapi.format("subnet", st.from_regex(r"\A192\.0\.2\.[0-9](/(2[4-9]|3[0-2]))?\Z"))
