"""A token issuer on this machine, over https: its configuration, its keys, and real signed tokens.

The template takes an https issuer only, and is not loosened for a test: the issuer has a certificate of an authority
that is made for the run, and whoever has to trust it is told of it by `SSL_CERT_FILE`.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
AUDIENCE = "buyers-club"
KEY_ID = "of-this-run"
_HOLDS_S = 3600


class Issuer:
    """Serves from construction until `close`. `url` is what its tokens have as `iss`; `authority` whom to trust."""

    def __init__(self, folder: Path) -> None:
        """Make keys and certificates in `folder`, and listen on a free port."""
        self._ours = _rsa_key()
        self._theirs = _rsa_key()
        self.authority = folder / "authority.pem"
        certificate, key = _certificates(folder, self.authority)
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self._document))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def mint(self, claims: Mapping[str, Any], *, key: str = "ours", alg: str = "RS256") -> str:
        """Sign a token, as tests/access/matrix.py asks for it: a claim of None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + _HOLDS_S}
        content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signer: Any = None if alg == "none" else {"ours": self._ours, "theirs": self._theirs}[key]
        return jwt.encode(content, signer, algorithm=alg, headers={"kid": KEY_ID})

    def token(self, sub: str, *scopes: str) -> str:
        """Sign a token for `sub` with these scopes."""
        return self.mint({"sub": sub, "scope": " ".join(scopes)})

    def _document(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            numbers = self._ours.public_key().public_numbers()
            key = {"kty": "RSA", "kid": KEY_ID, "use": "sig", "alg": "RS256"}
            return {"keys": [{**key, "n": _base64(numbers.n), "e": _base64(numbers.e)}]}
        return None


def _handler(document: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = document(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

    return Handler


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _base64(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _certificates(folder: Path, authority: Path) -> tuple[Path, Path]:
    """Write the authority's certificate, and the server's with its key; give the paths of the latter two."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    of_authority = (
        _certificate("deployed-test authority", authority_key.public_key(), 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    of_server = (
        _certificate(HOST, server_key.public_key(), 2)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate, key = folder / "server.pem", folder / "server-key.pem"
    authority.write_bytes(of_authority.public_bytes(serialization.Encoding.PEM))
    certificate.write_bytes(of_server.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


def _certificate(subject: str, key: ec.EllipticCurvePublicKey, number: int) -> x509.CertificateBuilder:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("deployed-test authority"))
        .public_key(key)
        .serial_number(number)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
