"""TLS servers whose certificate comes from the vault, reached by programs that know nothing of it."""

import contextlib
import os
import subprocess

import pytest
from azure.keyvault.keys.crypto import CryptographyClient
from cryptography import x509

import outside
import vaultkeys
from policies import begin_unknown, create, small
from servers import HOST, PATIENCE, listen, serve


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

    with CryptographyClient(made.key_id, credential) as client:
        seen = serve(leaf, kind(client, leaf.public_key()), version, offered, tmp_path)
    assert f"\nPeer signature type: {signature}\n" in seen
    assert f"\nPeer signing digest: {offered.partition('+')[2]}\n" in seen


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
        without_ca = curl(port)
    assert (reached.returncode, reached.stdout) == (0, "hello from nginx\n200"), reached.stderr
    assert without_ca.returncode == CANNOT_VERIFY, without_ca.stderr
