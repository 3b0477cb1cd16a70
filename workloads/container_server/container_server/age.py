"""Encryption for somebody who is not here: version 1 of age's file format, for one X25519 recipient.

The format is public (https://c2sp.org/age) and has tools of its own (`age`, `rage`): an archive can be opened
without this project. A file has a header, which holds its key encrypted to the recipient, and a body in
chunks. Whoever has the recipient's private key can write a header for another recipient (`rewrap`) without
seeing the body.
"""

import base64
import hashlib
import hmac
import secrets
from typing import IO, Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = b"age-encryption.org/v1\n"
CHUNK: Final = 64 * 1024
HEADER_LIMIT: Final = 4096
"""Bytes; one with a single recipient has 168."""
_TAG: Final = 16
_KEY: Final = 16
_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # pragma: allowlist secret


class AgeError(ValueError):
    """A key that is none, a file that is none, or one that this key does not open."""


def new_identity() -> str:
    """A private key, `AGE-SECRET-KEY-1...`."""
    return _bech32("age-secret-key-", X25519PrivateKey.generate().private_bytes_raw()).upper()


def recipient_of(identity: str) -> str:
    """The public key, `age1...`, of a private one. Raises AgeError."""
    return _bech32("age", _private(identity).public_key().public_bytes_raw())


def check_recipient(recipient: str) -> None:
    """Raise AgeError unless it is a public key."""
    _bytes_of("age", recipient)


def header_of(stream: IO[bytes]) -> bytes:
    """Read a file's header and leave the stream at its body. Raises AgeError for what is no such file."""
    header = line = stream.readline(HEADER_LIMIT)
    if line != VERSION:
        raise AgeError("this is not encrypted as expected: no age file of version 1")
    while not line.startswith(b"---"):
        line = stream.readline(HEADER_LIMIT)
        header += line
        if not line or len(header) > HEADER_LIMIT:
            raise AgeError("its header has no end")
    return header


def rewrap(header: bytes, identity: str, recipient: str) -> bytes:
    """The header of the same file for another recipient. Raises AgeError."""
    return _header(_file_key(header, identity), recipient)


@final
class Writer:
    """Writes a file for `recipient` to `stream`. `close()` ends it, and leaves the stream open."""

    def __init__(self, stream: IO[bytes], recipient: str):
        self._stream = stream
        file_key, nonce = secrets.token_bytes(_KEY), secrets.token_bytes(16)
        stream.write(_header(file_key, recipient) + nonce)
        self._cipher = _Chunks(file_key, nonce)
        self._pending = bytearray()

    def write(self, content: bytes) -> int:
        """Take plain text; it is written once it fills a chunk, and more follows."""
        self._pending += content
        while len(self._pending) > CHUNK:
            self._stream.write(self._cipher.encrypt(bytes(self._pending[:CHUNK]), last=False))
            del self._pending[:CHUNK]
        return len(content)

    def close(self) -> None:
        """Write the last chunk: without it nobody takes the file for a whole one."""
        self._stream.write(self._cipher.encrypt(bytes(self._pending), last=True))


@final
class Reader:
    """Reads the plain text of a body; `stream` is after the header.

    Raises AgeError for a header of another key, and while reading for a body that was changed or cut.
    """

    def __init__(self, stream: IO[bytes], header: bytes, identity: str):
        self._stream = stream
        self._cipher = _Chunks(_file_key(header, identity), stream.read(16))
        self._next = stream.read(CHUNK + _TAG)
        self._plain = b""
        self._over = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        while len(self._plain) < size and not self._over:
            chunk, self._next = self._next, self._stream.read(CHUNK + _TAG)
            self._over = not self._next
            self._plain += self._cipher.decrypt(chunk, last=self._over)
        found, self._plain = self._plain[:size], self._plain[size:]
        return found


class _Chunks:
    """The cipher of a body; each chunk's nonce is its number and whether it is the last."""

    def __init__(self, file_key: bytes, nonce: bytes):
        self._cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._count = 0

    def encrypt(self, plain: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), plain, None)

    def decrypt(self, chunk: bytes, *, last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(last=last), chunk, None)
        except InvalidTag as error:
            raise AgeError("it was changed or cut after it was written") from error

    def _nonce(self, *, last: bool) -> bytes:
        self._count += 1
        return (self._count - 1).to_bytes(11, "big") + bytes([last])


def _header(file_key: bytes, recipient: str) -> bytes:
    theirs = _bytes_of("age", recipient)
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs))
    wrapped = ChaCha20Poly1305(_wrapping_key(shared, share, theirs)).encrypt(bytes(12), file_key, None)
    text = VERSION + b"-> X25519 " + _base64(share) + b"\n" + _base64(wrapped) + b"\n---"
    return text + b" " + _base64(_mac(file_key, text)) + b"\n"


def _file_key(header: bytes, identity: str) -> bytes:
    text, _, mac = header.rpartition(b" ")
    private = _private(identity)
    found = (_opened(stanza, private) for stanza in text.split(b"\n-> ")[1:])
    file_key = next((key for key in found if key), None)
    if file_key is None:
        raise AgeError("it was encrypted to another key")
    if not hmac.compare_digest(_mac(file_key, text), _unbase64(mac.rstrip(b"\n"))):
        raise AgeError("its header was changed after it was written")
    return file_key


def _opened(stanza: bytes, private: X25519PrivateKey) -> bytes | None:
    """The file's key, where this is for that key; other tools add stanzas of other kinds."""
    kind, body, *_ = [*stanza.split(b"\n"), b""]
    if not kind.startswith(b"X25519 "):
        return None
    share, wrapped = _unbase64(kind.removeprefix(b"X25519 ")), _unbase64(body)
    if (len(share), len(wrapped)) != (32, _KEY + _TAG):
        raise AgeError("its header is damaged")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        key = _wrapping_key(shared, share, private.public_key().public_bytes_raw())
        return ChaCha20Poly1305(key).decrypt(bytes(12), wrapped, None)
    except (InvalidTag, ValueError):  # ValueError: a share with which nothing is secret
        return None


def _wrapping_key(shared: bytes, share: bytes, recipient: bytes) -> bytes:
    return _derived(shared, share + recipient, b"age-encryption.org/v1/X25519")


def _mac(file_key: bytes, text: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), text, hashlib.sha256)


def _derived(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=purpose).derive(secret)


def _private(identity: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_bytes_of("age-secret-key-", identity))


def _base64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise AgeError("its header is damaged") from error


# Bech32 (BIP 173), without its limit of 90 characters.


def _bech32(prefix: str, content: bytes) -> str:
    values = _regroup(content, 8, 5, pad=True)
    check = _polymod([*_expanded(prefix), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return f"{prefix}1" + "".join(_LETTERS[value] for value in values)


def _bytes_of(prefix: str, text: str) -> bytes:
    """The 32 bytes of a key. Raises AgeError; the text is not in its message, as it may be a private one."""
    found, _, letters = text.strip().lower().rpartition("1")
    values = [_LETTERS.find(letter) for letter in letters]
    known = found == prefix and -1 not in values and len(values) > 6
    if not known or _polymod([*_expanded(prefix), *values]) != 1:
        raise AgeError(f"this is no key of the form {prefix}1..., or has a typing mistake")
    content = bytes(_regroup(values[:-6], 5, 8, pad=False))
    if len(content) != 32:
        raise AgeError(f"this is no key of the form {prefix}1...: it has {len(content)} bytes")
    return content


def _regroup(values: bytes | list[int], wide: int, narrow: int, *, pad: bool) -> list[int]:
    bits = "".join(f"{value:0{wide}b}" for value in values)
    whole = len(bits) // narrow * narrow
    bits = bits + "0" * (-len(bits) % narrow) if pad else bits[:whole]
    return [int(bits[at : at + narrow], 2) for at in range(0, len(bits), narrow)]


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= factor if top >> place & 1 else 0
    return check
