"""Reads tokens of this package with PyJWT and jwcrypto: an order as JSON on standard input, what they say on standard output.

Run it with Debian's Python, which has python3-jwt and python3-jwcrypto: /usr/bin/python3 test/services/verify.py
"""

import json
import sys
import urllib.request

import jwt
from jwcrypto import jwe, jwk
from jwcrypto import jwt as jwcrypto_jwt
from jwcrypto.common import JWException


def with_pyjwt(order, token):
    key = jwt.PyJWKClient(order["jwks_uri"]).get_signing_key_from_jwt(token)
    return jwt.decode(token, key.key, algorithms=[order["alg"]], issuer=order["issuer"], audience=order["audience"])


def with_jwcrypto(order, token):
    with urllib.request.urlopen(order["jwks_uri"]) as answer:
        keys = jwk.JWKSet.from_json(answer.read())
    expected = {"iss": order["issuer"], "aud": order["audience"], "exp": None}
    verified = jwcrypto_jwt.JWT(jwt=token, key=keys, algs=[order["alg"]], check_claims=expected)
    return json.loads(verified.claims)


def decrypted(order, token):
    envelope = jwe.JWE(algs=[order["alg"], "A256GCM"])
    envelope.deserialize(token, jwk.JWK(**order["key"]))
    if envelope.jose_header.get("cty") != "JWT":
        return json.loads(envelope.payload)
    return with_pyjwt({**order, "alg": order["inner_alg"]}, envelope.payload.decode())


def said(read, order, token):
    """The claims, or the name of what was wrong."""
    try:
        return {"claims": read(order, token)}
    except (jwt.PyJWTError, JWException, ValueError) as fault:
        return {"fault": type(fault).__name__}


order = json.load(sys.stdin)
readers = [decrypted] if "key" in order else [with_pyjwt, with_jwcrypto]
print(json.dumps([[said(read, order, token) for read in readers] for token in order["tokens"]]))
