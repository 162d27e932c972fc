"""How the Kafka clients sign in and encrypt: options that kafka-python and aiokafka share."""

from __future__ import annotations

import ssl
from typing import Any

from stream.settings import Security, SettingsError


def ssl_context(security: Security) -> ssl.SSLContext | None:
    """What checks the broker's certificate, and shows the client's; None without TLS.

    Raises:
        SettingsError: a file cannot be read, or does not hold what it should.
    """
    if not security.tls:
        return None
    wrong = security.ca_file
    try:
        context = ssl.create_default_context(cafile=wrong and str(wrong))
        if security.certificate_file is not None:
            wrong = security.certificate_file
            context.load_cert_chain(wrong, security.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"kafka.security: {wrong} cannot be used: {error}") from None
    return context


def client_options(security: Security) -> dict[str, Any]:
    """Options of any client of kafka-python or aiokafka; empty for a broker without security.

    Raises:
        SettingsError: see ``ssl_context``.
    """
    context = ssl_context(security)
    if context is None and security.sasl is None:
        return {}
    kind = "SASL_" if security.sasl else ""
    options: dict[str, Any] = {
        "security_protocol": kind + ("SSL" if context else "PLAINTEXT"),
        "ssl_context": context,
    }
    if security.sasl and security.password is not None:
        options["sasl_mechanism"] = security.sasl
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password.get_secret_value()
    return options
