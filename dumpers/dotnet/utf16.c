#include "dumpers/dotnet/utf16.h"

static uint32_t take(const uint16_t *text, size_t len, size_t *at)
{
	uint32_t c = text[(*at)++];
	if (c < 0xd800 || c > 0xdfff) return c;
	if (c >= 0xdc00 || *at == len || text[*at] < 0xdc00 || text[*at] > 0xdfff) return 0xfffd;
	return 0x10000 + ((c - 0xd800) << 10) + (uint32_t)(text[(*at)++] - 0xdc00);
}

static size_t encode(uint32_t c, char ret[static 4])
{
	if (c < 0x80) {
		ret[0] = (char)c;
		return 1;
	}
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		ret[i] = (char)(0x80 | (c & 0x3f));
	ret[0] = (char)(lead[len] | c);
	return len;
}

int utf16_append(const uint16_t *text, size_t len, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t at = 0; !r && at < len;) {
		char bytes[4];
		size_t n = encode(take(text, len, &at), bytes);
		r = buf_append(ret, bytes, n, e);
	}
	return r;
}
