"""What does not come from the vault: keys, certificates and bundles, made and opened by other tools.

Python's cryptography does most of it, the openssl program the rest.
"""

import base64
import datetime
import re
import subprocess
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def ec_key(curve=None):
    return ec.generate_private_key(curve or ec.SECP256R1())


def rsa_key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def common_name(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def build(subject, public_key, issuer, *, ca=False, start=-DAY, end=265 * DAY, extensions=()):
    """An unsigned certificate; start and end count from now."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + start)
        .not_valid_after(now() + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=ca)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder


class Authority:
    """A root and an intermediate that signs; chain is what belongs after a leaf."""

    def __init__(self):
        root_key, root = ec_key(), common_name("Outside Root")
        self._key, self._name = ec_key(), common_name("Outside Intermediate")
        self.root = build(root, root_key.public_key(), root, ca=True, end=3650 * DAY).sign(root_key, hashes.SHA256())
        self.intermediate = build(self._name, self._key.public_key(), root, ca=True, end=1825 * DAY).sign(
            root_key, hashes.SHA256()
        )
        self.chain = [self.intermediate, self.root]

    def issue(self, public_key, cn="leaf.example.net", **options):
        builder = build(common_name(cn), public_key, self._name, **options)
        return builder.sign(self._key, hashes.SHA256())

    def sign_request(self, csr):
        """Signs what the request asks for, its extensions included, as a CA would."""
        request = x509.load_der_x509_csr(bytes(csr))
        assert request.is_signature_valid
        extensions = [e.value for e in request.extensions if not isinstance(e.value, x509.BasicConstraints)]
        return build(request.subject, request.public_key(), self._name, extensions=extensions).sign(
            self._key, hashes.SHA256()
        )


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


def pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def spki(public_key):
    """The public key as DER, for comparing keys of any type."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key, password=None):
    protection = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def p7b(certificates):
    return pkcs7.serialize_certificates(certificates, Encoding.DER)


def openssl(*arguments, data=b""):
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr.decode()}"
    return done.stdout


# How a PFX may be protected: the arguments that make openssl 3 write it.
PFX_KINDS = {
    "rc2-40": ["-legacy"],  # what Windows and openssl 1 wrote by default
    "3des": ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    "aes256": ["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"],
    "open-certificates": ["-certpbe", "NONE"],
    "nothing-encrypted": ["-keypbe", "NONE", "-certpbe", "NONE"],
}


def pfx(key, certificates, password="", kind="aes256"):
    """A PFX by openssl: the first certificate is the key's."""
    return openssl(
        "pkcs12", "-export", "-passout", "pass:" + password, *PFX_KINDS[kind],
        data=pkcs8(key) + b"".join(map(pem, certificates)),
    )  # fmt: skip


@dataclass
class Opened:
    """A secret's value taken apart; key is None when there was none."""

    key: object
    certificates: list

    @property
    def leaf(self):
        return self.certificates[0]


def open_pfx(value):
    """Opens the base64 of a PFX under the empty password, with two readers that must agree."""
    data = base64.b64decode(value, validate=True)
    key, leaf, others = pkcs12.load_key_and_certificates(data, None)
    certificates = ([leaf] if leaf else []) + others
    shown = openssl("pkcs12", "-nodes", "-passin", "pass:", data=data)
    by_openssl = x509.load_pem_x509_certificates(shown)
    assert {der(c) for c in by_openssl} == {der(c) for c in certificates}
    assert (b"PRIVATE KEY" in shown) == (key is not None)
    return Opened(key, certificates)


PEM_VALUE = re.compile(
    r"\A(-----BEGIN PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END PRIVATE KEY-----\n)?"
    r"((?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)+)\Z"
)


def open_pem(value):
    """Opens a PEM value, which is a PKCS#8 key, the leaf, the chain, and nothing else (certificates.md, 7.5)."""
    match = PEM_VALUE.match(value)
    assert match, "the value is not a key followed by certificates in PEM with LF line ends"
    key = load_pem_private_key(match[1].encode(), None) if match[1] else None
    return Opened(key, x509.load_pem_x509_certificates(match[2].encode()))


def assert_self_signed(certificate):
    """The signature is the certificate's own, by cryptography and by openssl."""
    certificate.verify_directly_issued_by(certificate)
    shown = openssl("x509", "-noout", "-subject", "-issuer", data=pem(certificate)).decode().splitlines()
    assert shown[0].removeprefix("subject=") == shown[1].removeprefix("issuer=")
