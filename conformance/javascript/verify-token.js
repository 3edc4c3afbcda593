// Verifies a JWT for the suite of another language. Standard input holds an object: the token, the keys of its
// issuer as JWKs, the one algorithm that is allowed and the issuer. The claims go to standard output; a token that
// does not verify ends the program with an error.

import { text } from "node:stream/consumers";
import { createLocalJWKSet, jwtVerify } from "jose";

const { token, keys, algorithm, issuer } = JSON.parse(await text(process.stdin));
const { payload } = await jwtVerify(token, createLocalJWKSet({ keys }), { algorithms: [algorithm], issuer });
process.stdout.write(JSON.stringify(payload));
