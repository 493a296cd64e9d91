"""Passwords of encrypted archives, and the keys made of them.

Two ways from a password to a key (formats.md 2.6, 3.4): Oracle's, which is OpenSSL's
EVP_BytesToKey with SHA-256 and one round, and Percona's, which is PBKDF2-HMAC-SHA256 with a number
of rounds. Neither stands in the file: both are tried, and the first plain bytes decide.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from shipper.settings import Secret, Settings

# `<pwd_id>` in `audit.20180115T140633.log.gz.20180110T130749-1.enc`.
_ID: Final = r"\d{8}T\d{6}-\d{1,9}"
_ID_IN_NAME: Final = re.compile(rf"\.({_ID})\.enc(?![A-Za-z0-9])")

PasswordId = Annotated[str, Meta(pattern=f"^{_ID}$")]
# Percona allows up to 1,000,000; more would let a typing error stop the reader for minutes.
Iterations = Annotated[int, Meta(ge=1, le=10_000_000)]

KEY_BYTES: Final = 32
IV_BYTES: Final = 16
# `openssl enc -pbkdf2` without `-iter`.
_OPENSSL_ITERATIONS: Final = 10_000
# A server keeps the salt of a password id, `openssl enc` makes one for each file: so many archives
# cost half a second of a core once and not at each look. Some 300 bytes each.
_KEYS_MAX: Final = 4096


class Password(Settings, frozen=True, kw_only=True):
    """One password, by the id that the server puts into archive names."""

    id: PasswordId
    # The password, or `{"password":"…","iterations":568977}` as Percona's function gives it.
    password: Secret
    iterations: Iterations | None = None  # of PBKDF2, where the password is given as plain text


class PasswordSettings(Settings, frozen=True, kw_only=True):
    """Where the passwords of encrypted archives come from. Tried in this order."""

    by_id: tuple[Password, ...] = ()
    # A folder with one file a password, named by its id; it is read when an archive needs it, so a
    # new password needs no reload.
    directory: str | None = None
    # For archives whose id is not known, and for names without one (5.7.21 to 8.0.16).
    default: Secret | None = None
    default_iterations: Iterations | None = None

    def problems(self) -> Iterator[str]:
        """Find ids that stand here twice."""
        ids = [password.id for password in self.by_id]
        for twice in sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            yield f"by_id: {twice} stands here twice"


class Key(NamedTuple):
    """What AES-256-CBC needs."""

    key: bytes
    iv: bytes


class _Candidate(NamedTuple):
    password: str
    iterations: int | None


class _PerconaPassword(msgspec.Struct):
    """What `audit_log_encryption_password_get()` returns."""

    password: str
    iterations: Iterations


class Passwords:
    """Gives the keys that may fit an archive. Threads may share it."""

    def __init__(self, settings: PasswordSettings | None = None) -> None:
        """Take the settings; files in the folder are read when they are needed."""
        self._settings = settings or PasswordSettings()
        self._keys: dict[tuple[_Candidate, bytes], Key] = {}

    def keys(self, password_id: str | None, salt: bytes) -> Iterator[Key]:
        """Give the keys to try, the likely ones first; the slow derivation only where needed."""
        seen = set()
        for secret, iterations in self._secrets(password_id):
            for candidate in _candidates(secret, iterations):
                if candidate not in seen:
                    seen.add(candidate)
                    yield self._key(candidate, salt)

    def _secrets(self, password_id: str | None) -> Iterator[tuple[str, int | None]]:
        settings = self._settings
        for known in settings.by_id:
            if password_id in (None, known.id):
                yield known.password, known.iterations
        if settings.directory is not None and password_id is not None:
            try:
                text = (Path(settings.directory) / password_id).read_text(encoding="utf-8")
                yield text.removesuffix("\n"), None
            except (OSError, UnicodeDecodeError):
                pass  # not there: WrongPasswordError says where it was looked for
        if settings.default is not None:
            yield settings.default, settings.default_iterations

    def _key(self, candidate: _Candidate, salt: bytes) -> Key:
        if candidate.iterations is None:
            return derive(candidate.password, salt, None)  # as quick as looking it up
        key = self._keys.get((candidate, salt))
        if key is None:
            if len(self._keys) >= _KEYS_MAX:
                del self._keys[next(iter(self._keys))]  # the one that was made first
            key = self._keys[candidate, salt] = derive(
                candidate.password, salt, candidate.iterations
            )
        return key

    def advice(self, password_id: str | None) -> str:
        """Say where a password for such an archive was looked for, for a message."""
        settings = self._settings
        tried = len(list(self._secrets(password_id)))
        if password_id is None:
            wrong = "none of the passwords in by_id and default fits"
            missing = "set passwords.default (or default_file)"
            return f"its name has no password id; {wrong if tried else missing}"
        folder = f", {settings.directory}/{password_id}" if settings.directory else ""
        return (
            f"its password id is {password_id}; looked for in passwords.by_id{folder} "
            f"and passwords.default: {'what is there does not fit' if tried else 'not there'}"
        )


def password_id(path: str) -> str | None:
    """Find the password id in an archive's name, `<n>` of `audit.log.gz.<n>.enc`."""
    found = _ID_IN_NAME.search(Path(path).name)
    return found[1] if found else None


def _candidates(secret: str, iterations: int | None) -> Iterator[_Candidate]:
    """Give the derivations to try for one secret; None iterations: EVP_BytesToKey."""
    try:
        percona = msgspec.json.decode(secret, type=_PerconaPassword)
        yield _Candidate(percona.password, percona.iterations)
        yield _Candidate(percona.password, None)
    except msgspec.DecodeError:
        pass
    if iterations is not None:
        yield _Candidate(secret, iterations)
    yield _Candidate(secret, None)
    if iterations is None:
        yield _Candidate(secret, _OPENSSL_ITERATIONS)


def derive(password: str, salt: bytes, iterations: int | None) -> Key:
    """Make the key: PBKDF2-HMAC-SHA256 with `iterations`, or EVP_BytesToKey where that is None."""
    size = KEY_BYTES + IV_BYTES
    secret = password.encode()
    if iterations is not None:
        made = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations, size)
    else:
        made = block = b""
        while len(made) < size:
            block = hashlib.sha256(block + secret + salt).digest()
            made += block
    return Key(made[:KEY_BYTES], made[KEY_BYTES:size])
