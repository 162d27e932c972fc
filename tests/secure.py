"""A real Kafka with TLS, SASL and client certificates, and an authority that signs them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream.broker import free_port
from stream.settings import Security
from tests import servers

USER, PASSWORD = "barograph", "test-password"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


def _openssl(*arguments: str) -> None:
    command = [servers.program("openssl", package="openssl"), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def authority(folder: Path, name: str = "authority") -> Certificate:
    """A certificate that signs others."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(made.key), "-out", str(made.certificate)),
    )
    return made


def signed(folder: Path, name: str, by: Certificate) -> Certificate:
    """A certificate for 127.0.0.1, signed by an authority."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(
        *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", str(made.key), "-out", str(request)),
    )
    _openssl(
        *("x509", "-req", "-days", "2", "-in", str(request), "-extfile", str(extensions)),
        *("-CA", str(by.certificate), "-CAkey", str(by.key), "-CAcreateserial"),
        *("-out", str(made.certificate)),
    )
    return made


@dataclass(frozen=True)
class SecureKafka:
    sasl: str
    mutual: str
    folder: Path
    ca: Certificate

    def signing_in(self, mechanism: str, password: str = PASSWORD) -> Security:
        return Security.model_validate(
            {
                "tls": True,
                "ca_file": self.ca.certificate,
                "sasl": mechanism,
                "username": USER,
                "password": password,
            }
        )

    def with_certificate(self) -> Security:
        mine = signed(self.folder, "client", self.ca)
        return Security(
            tls=True,
            ca_file=self.ca.certificate,
            certificate_file=mine.certificate,
            key_file=mine.key,
        )


@contextlib.contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """One listener for SASL over TLS, one that wants a certificate of the client."""
    ca = authority(folder)
    own = signed(folder, "broker", ca)
    store = folder / "broker-store.pem"
    store.write_text(own.key.read_text() + own.certificate.read_text())
    sasl, mutual = (f"127.0.0.1:{free_port()}" for _ in range(2))
    listeners = f"SASL://{sasl},MUTUAL://{mutual}"
    user = f'required user_{USER}="{PASSWORD}";'
    properties = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "SASL:SASL_SSL,MUTUAL:SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca.certificate),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.sasl.plain.sasl.jaas.config": f"{PLAIN} {user}",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{SCRAM} required;",
    }
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    with servers.kafka(folder, properties, ("--add-scram", scram)):
        yield SecureKafka(sasl, mutual, folder, ca)
