"""TLS servers whose certificate comes from the vault, reached by programs that know nothing of it."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest
from azure.keyvault.keys.crypto import CryptographyClient
from cryptography import x509
from tlslite.handshakesettings import HandshakeSettings
from tlslite.tlsconnection import TLSConnection
from tlslite.x509certchain import X509CertChain

import outside
import vaultkeys
from policies import begin_unknown, create, small

HOST = "shop.example.net"
# Longer than any handshake takes; a server or client that hangs is a failure.
PATIENCE = 30


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    return listener, listener.getsockname()[1]


@contextlib.contextmanager
def python_server(certificate, key, version, answer):
    """Serves one connection with tlslite-ng; gives the port."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    settings.ecdsaSigHashes = ["sha256"]  # the digest that a key on P-256 signs
    chain = X509CertChain()
    chain.parsePemList(outside.pem(certificate).decode())
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


def s_client(port, *arguments):
    """What openssl's client has to say of a server, and what it got from it."""
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-verify_hostname", HOST]
        + ["-verify_return_error", "-showcerts", "-ign_eof", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


VERSIONS = {"tls1_2": (3, 3), "tls1_3": (3, 4)}


@pytest.mark.parametrize(
    "key_type,version,offered,signature",
    [
        ("EC", "tls1_2", "ECDSA+SHA256", "ECDSA"),
        ("EC", "tls1_3", "ECDSA+SHA256", "ECDSA"),
        ("RSA", "tls1_2", "RSA+SHA256", "RSA"),
        ("RSA", "tls1_2", "RSA-PSS+SHA256", "RSA-PSS"),
        ("RSA", "tls1_3", "RSA-PSS+SHA512", "RSA-PSS"),
    ],
)
def test_server_in_python_signs_with_a_key_that_stays_in_the_vault(
    certificates, secrets, credential, name, tmp_path, key_type, version, offered, signature
):
    curve, kind = ("P-256", vaultkeys.P256Key) if key_type == "EC" else (None, vaultkeys.RSAKey)
    policy = small(key_type=key_type, key_curve_name=curve, exportable=False, san_dns_names=[HOST])
    made = create(certificates, name, policy)
    leaf = x509.load_der_x509_certificate(bytes(made.cer))
    held = outside.open_pfx(secrets.get_secret(name).value)
    assert (held.key, held.certificates) == (None, [leaf])

    trusted = tmp_path / "leaf.pem"
    trusted.write_bytes(outside.pem(leaf))
    with CryptographyClient(made.key_id, credential) as client:
        key = kind(client, leaf.public_key())
        with python_server(leaf, key, VERSIONS[version], b"hello from the vault\n") as port:
            seen = s_client(port, "-" + version, "-sigalgs", offered, "-CAfile", trusted)
    assert seen.returncode == 0, seen.stderr
    assert "\nhello from the vault\n" in seen.stdout
    assert x509.load_pem_x509_certificates(seen.stdout.encode()) == [leaf]
    assert f"\nPeer signature type: {signature}\n" in seen.stdout
    assert f"\nPeer signing digest: {offered.partition('+')[2]}\n" in seen.stdout
    assert "\nVerification: OK\n" in seen.stdout


@contextlib.contextmanager
def nginx(folder, answer):
    """Serves with key.pem and chain.pem of the folder; gives the port.

    The socket is made here and handed on as nginx hands its own to its successor when it is upgraded: the port is
    known to be free, and a client that comes before nginx is ready waits in the queue.
    """
    listener, port = listen()
    with listener:
        config = folder / "nginx.conf"
        config.write_text(
            f"""
            daemon off;
            pid {folder}/pid;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {folder}/body;
                proxy_temp_path {folder}/proxy;
                fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi;
                scgi_temp_path {folder}/scgi;
                server {{
                    listen 127.0.0.1:{port} ssl;
                    server_name {HOST};
                    ssl_certificate {folder}/chain.pem;
                    ssl_certificate_key {folder}/key.pem;
                    location / {{ return 200 "{answer}"; }}
                }}
            }}
            """
        )
        server = subprocess.Popen(
            ["/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", config],
            env={"NGINX": f"{listener.fileno()};"}, pass_fds=[listener.fileno()], stderr=subprocess.PIPE,
        )  # fmt: skip
    try:
        yield port
    finally:
        server.terminate()
        _, said = server.communicate(timeout=PATIENCE)
    assert b"[emerg]" not in said, said.decode()


def curl(port, *arguments):
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE), "--resolve", f"{HOST}:{port}:127.0.0.1"]
        + ["--write-out", "\n%{http_code}", *arguments, f"https://{HOST}:{port}/"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip


CANNOT_VERIFY = 60  # curl's CURLE_PEER_FAILED_VERIFICATION


def test_nginx_serves_with_the_pfx_of_a_merged_certificate(certificates, secrets, authority, name, tmp_path):
    operation = begin_unknown(certificates, name, san_dns_names=[HOST])
    leaf = authority.sign_request(operation.csr)
    certificates.merge_certificate(name, [outside.der(leaf), outside.der(authority.intermediate)])

    folder = tmp_path / "served"
    folder.mkdir(mode=0o700)
    bundle = outside.base64.b64decode(secrets.get_secret(name).value, validate=True)
    split = ["pkcs12", "-passin", "pass:", "-nodes"]
    (folder / "key.pem").write_bytes(outside.openssl(*split, "-nocerts", data=bundle))
    # The order that a server sends: its own certificate, then what leads to the root.
    (folder / "chain.pem").write_bytes(
        outside.openssl(*split, "-nokeys", "-clcerts", data=bundle)
        + outside.openssl(*split, "-nokeys", "-cacerts", data=bundle)
    )
    root = tmp_path / "root.pem"
    root.write_bytes(outside.pem(authority.root))
    with nginx(folder, "hello from nginx") as port:
        reached = curl(port, "--cacert", root)
        stranger = curl(port)
    assert (reached.returncode, reached.stdout) == (0, "hello from nginx\n200"), reached.stderr
    assert stranger.returncode == CANNOT_VERIFY, stranger.stderr
