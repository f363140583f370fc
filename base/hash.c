#include "base/hash.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

void sha256_init(struct sha256 *h)
{
	SHA256_Init(&h->ctx);
}

void sha256_update(struct sha256 *h, const void *data, size_t len)
{
	SHA256_Update(&h->ctx, data, len);
}

void sha256_final(struct sha256 *h, uint8_t ret[SHA256_BYTES])
{
	SHA256_Final(ret, &h->ctx);
}

void sha256_of(const void *data, size_t len, uint8_t ret[SHA256_BYTES])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, data, len);
	sha256_final(&h, ret);
}

void hex_encode(const void *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[p[i] >> 4];
		ret[2 * i + 1] = digits[p[i] & 15];
	}
	ret[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *text, void *ret, size_t len, struct err *e)
{
	uint8_t *out = ret;
	size_t digits = 0;

	while (hex_value(text[digits]) >= 0 && digits / 2 < len)
		digits++;
	if (digits != 2 * len || text[digits] != '\0')
		return err_set(e, ERR_CORRUPT, "not %zu hex digits: \"%.80s\"", 2 * len, text);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
	return 0;
}

/* Reflected polynomial of RFC 3720 12.1, a byte at a time. */
static uint32_t crc32c_bytes[256];

static void fill_crc32c_bytes(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		crc32c_bytes[i] = crc;
	}
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *p = data;

	pthread_once(&once, fill_crc32c_bytes);
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ crc32c_bytes[(crc ^ p[i]) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
							       size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = (uint32_t)~crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	for (; len > 0; p++, len--)
		crc = _mm_crc32_u8(crc, *p);
	return ~crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(crc, data, len);
#endif
	return crc32c_portable(crc, data, len);
}
