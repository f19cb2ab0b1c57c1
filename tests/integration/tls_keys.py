# SPDX-License-Identifier: Apache-2.0
"""What NVMe/TCP gives to TLS, by the words of the specification (NVMe TCP Transport 1.1, section 3.6.1; RFC
8446, section 7.1) and by Python's own HMAC: nothing here is netstor's."""
import base64
import hashlib
import hmac
import struct
import zlib

ICREQ = struct.pack("<BBBBI", 0, 0, 128, 0, 128) + bytes(120)


def expand_label(hash_, secret, label, context):
    size = hash_().digest_size
    extracted = hmac.new(bytes(size), secret, hash_).digest()
    info = struct.pack(">H", size)
    for part in (b"tls13 " + label, context):
        info += bytes([len(part)]) + part
    return hmac.new(extracted, info + b"\1", hash_).digest()


def interchange(key, number):
    return f"NVMeTLSkey-1:0{number}:" \
           f"{base64.b64encode(key + struct.pack('<I', zlib.crc32(key))).decode()}:"


def derive(key, number, host, subsystem, version=1):
    """The identity, and the TLS PSK in hexadecimal."""
    hash_ = {1: hashlib.sha256, 2: hashlib.sha384}[number]
    retained = expand_label(hash_, key, b"HostNQN", host.encode())
    identity = f"NVMe{version}R0{number} {host} {subsystem}"
    if version == 0:
        return identity, expand_label(hash_, retained, b"nvme-tls-psk", identity.encode()).hex()
    text = f"{host} {subsystem} NVMe-over-Fabrics".encode()
    digest = base64.b64encode(hmac.new(retained, text, hash_).digest()).decode()
    context = f"0{number} {digest}".encode()
    return f"{identity} {digest}", expand_label(hash_, retained, b"nvme-tls-psk", context).hex()
