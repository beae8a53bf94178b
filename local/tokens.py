"""Real signed tokens: made here, and checked as API Gateway's JWT authorizer checks them.

The key lies under `build/local/` and is made the first time it is needed. Tokens are checked against the machine's
clock and not the stack's, so that one made today holds at every simulated time.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.template import Authorizer

KEY_ID = "local"
_HOLDS = timedelta(days=10 * 365)


class Unauthorized(Exception):
    """There is no token, or none that this authorizer accepts."""


def key_path(root: Path) -> Path:
    """Say where the key lies that the tokens of the stack at `root` are signed with."""
    return root / "build" / "local" / "signing-key.pem"


@lru_cache(maxsize=4)
def signing_key(path: Path) -> rsa.RSAPrivateKey:
    """Give the key that tokens are signed with, from its file; it is made, readable by its owner only, if need be."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # Two commands may start at once. Whoever comes second uses the first one's key, and nobody reads half a file.
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            Path(name).unlink()
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path} holds no RSA key: delete it, and another is made")
    return key


def make_token(key: Path, authorizer: Authorizer, sub: str, scopes: Iterable[str], claims: Mapping[str, Any]) -> str:
    """Sign a token for `sub`; `claims` are added, or replace what is usual."""
    now = datetime.now(UTC)
    payload = {
        "iss": authorizer.issuer,
        "aud": authorizer.audience[0],
        "sub": sub,
        "scope": " ".join(scopes),
        "iat": int(now.timestamp()),
        "exp": int((now + _HOLDS).timestamp()),
        **claims,
    }
    return jwt.encode(payload, signing_key(key), algorithm="RS256", headers={"kid": KEY_ID})


class Checker:
    """Checks tokens for one authorizer. The claims of a token that was checked before are remembered until it ends."""

    def __init__(self, key: Path, authorizer: Authorizer) -> None:
        self._key = key
        self._authorizer = authorizer

    def claims(self, header: str | None) -> dict[str, Any]:
        """Give the claims of a request's `Authorization` header. Raises Unauthorized."""
        scheme, _, token = (header or "").strip().partition(" ")
        if not token:  # the gateway takes a bare token as well
            scheme, token = "bearer", scheme
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("there is no bearer token")
        try:
            if jwt.get_unverified_header(token).get("kid") != KEY_ID:
                raise Unauthorized("the token names a key that is not known")
            claims: dict[str, Any] = jwt.decode(
                token.strip(),
                signing_key(self._key).public_key(),
                algorithms=["RS256"],
                issuer=self._authorizer.issuer,
                options={"verify_aud": False, "require": ["exp", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthorized(str(error)) from error
        self._check_audience(claims)
        return claims

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        # As the gateway does: `client_id` counts where there is no `aud`.
        named = claims.get("aud", claims.get("client_id"))
        names = named if isinstance(named, list) else [named]
        if not set(names) & set(self._authorizer.audience):
            raise Unauthorized("the token is for another audience")


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """Give the scopes that a token names, word by word, from `scope` or else `scp`.

    A blank parts them and nothing else does (RFC 6749, 3.3): no tab, and no other script's space.
    """
    named = claims.get("scope", claims.get("scp", ""))
    words = named if isinstance(named, list) else str(named).split(" ")
    return [str(word) for word in words if word]


def as_claims(claims: Mapping[str, Any]) -> dict[str, str]:
    """Give claims as the gateway hands them on: each one as text, a list in brackets without commas."""
    return {name: _as_text(value) for name, value in claims.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(_as_text, value))}]"
    return str(value)
