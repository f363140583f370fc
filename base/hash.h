/* SHA-256 (FIPS 180-4, OpenSSL's low-level functions) and CRC-32C (RFC 3720 appendix B.4). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/err.h"

#include <openssl/sha.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };

struct sha256 {
	SHA256_CTX ctx;
};
void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, const void *data, size_t len);
void sha256_final(struct sha256 *h, uint8_t ret[SHA256_BYTES]);
/* One shot. */
void sha256_of(const void *data, size_t len, uint8_t ret[SHA256_BYTES]);

/* Lower-case hex with NUL; ret holds 2 * len + 1 bytes. */
void hex_encode(const void *data, size_t len, char *ret);
/* Exactly 2 * len hex digits into len bytes; -ERR_CORRUPT otherwise. */
int hex_decode(const char *text, void *ret, size_t len, struct err *e);

/* Continues a CRC-32C: start with crc = 0; crc32c(crc32c(0, a), b) == crc32c(0, a || b). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the CPU's instruction: what crc32c uses where there is none. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
