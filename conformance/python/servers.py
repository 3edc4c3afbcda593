"""A TLS server in Python whose private key stays in the vault, and openssl's client for it."""

import contextlib
import socket
import subprocess
import threading

from cryptography import x509
from tlslite.handshakesettings import HandshakeSettings
from tlslite.tlsconnection import TLSConnection
from tlslite.x509certchain import X509CertChain

import outside

HOST = "shop.example.net"
# Longer than any handshake takes; a server or client that hangs is a failure.
PATIENCE = 30
VERSIONS = {"tls1_2": (3, 3), "tls1_3": (3, 4)}


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    return listener, listener.getsockname()[1]


@contextlib.contextmanager
def python_server(leaf, key, version, answer):
    """Serves one connection with tlslite-ng; gives the port."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = VERSIONS[version]
    settings.ecdsaSigHashes = ["sha256"]  # the digest that a key on P-256 signs
    chain = X509CertChain()
    chain.parsePemList(outside.pem(leaf).decode())
    failures = []

    def serve():
        try:
            raw, _ = listener.accept()
            raw.settimeout(PATIENCE)
            connection = TLSConnection(raw)
            connection.handshakeServer(certChain=chain, privateKey=key, settings=settings)
            connection.write(answer)
            connection.close()
        except Exception as failure:  # whatever it is, the test is to tell of it
            failures.append(failure)

    listener, port = listen()
    with listener:
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield port
        finally:
            server.join()
    if failures:
        raise failures[0]


def serve(leaf, key, version, offered, folder):
    """Serves with the certificate and its key, and reaches that with openssl's client, which offers to verify one
    kind of signature. Returns what the client tells of the connection."""
    trusted = folder / "leaf.pem"
    trusted.write_bytes(outside.pem(leaf))
    with python_server(leaf, key, version, b"hello from the vault\n") as port:
        seen = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-" + version, "-sigalgs", offered]
            + ["-servername", HOST, "-verify_hostname", HOST, "-verify_return_error", "-CAfile", trusted]
            + ["-showcerts", "-ign_eof"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
    assert seen.returncode == 0, seen.stderr
    assert "\nhello from the vault\n" in seen.stdout
    assert "\nVerification: OK\n" in seen.stdout
    assert x509.load_pem_x509_certificates(seen.stdout.encode()) == [leaf]
    return seen.stdout
