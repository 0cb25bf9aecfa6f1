"""Writes vectors.json: a key set and tokens by PyJWT and by jwcrypto, for each algorithm.

    pip install pyjwt cryptography jwcrypto && python vectors.py > vectors.json
"""

import json

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwcrypto import jwk
from jwcrypto import jwt as jcjwt

KEYS = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "p-256": ec.generate_private_key(ec.SECP256R1()),
    "p-384": ec.generate_private_key(ec.SECP384R1()),
    "p-521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = {
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p-256", "ES384": "p-384", "ES512": "p-521", "EdDSA": "ed25519",
}
CLAIMS = {
    "iss": "https://issuer.example", "sub": "ada", "aud": ["other", "sluice"], "exp": 4102444800, "nbf": 946684800.5,
    "groups": ["analysts", "on-call"], "realm_access": {"roles": ["analysts"]},
}


def jwks():
    keys = []
    for name, key in KEYS.items():
        public = jwk.JWK.from_pyca(key.public_key()).export_public(as_dict=True)
        keys.append(public | {"kid": name, "use": "sig"})
    # Sets have keys for other purposes too.
    keys.append({"kty": "EC", "crv": "secp256k1", "kid": "unknown", "x": "AA", "y": "AA"})
    keys.append({"kty": "new", "kid": "newer"})
    keys.append(jwk.JWK.generate(kty="RSA", size=2048).export_public(as_dict=True) | {"kid": "enc", "use": "enc", "alg": "RSA-OAEP"})
    return {"keys": keys}


def main():
    tokens = []
    for algorithm, name in ALGORITHMS.items():
        key = KEYS[name]
        tokens.append({"by": "pyjwt", "alg": algorithm, "token": pyjwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": name})})
        token = jcjwt.JWT(header={"alg": algorithm, "kid": name, "typ": "at+jwt"}, claims=CLAIMS)
        token.make_signed_token(jwk.JWK.from_pyca(key))
        tokens.append({"by": "jwcrypto", "alg": algorithm, "token": token.serialize()})
    print(json.dumps({"jwks": jwks(), "tokens": tokens}, indent=1))


main()
