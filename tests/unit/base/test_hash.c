#include "base/hash.h"
#include "tests/unit/base/unit.h"

/* FIPS 180-4 examples (NIST's SHA256.pdf and the empty message). */
static const struct {
	const char *text, *hex;
} sha_vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void sha256_matches_the_standard(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sha_vectors); i++) {
		uint8_t digest[SHA256_BYTES];
		char hex[SHA256_HEX];

		sha256_of(sha_vectors[i].text, strlen(sha_vectors[i].text), digest);
		hex_encode(digest, sizeof(digest), hex);
		assert_string_equal(hex, sha_vectors[i].hex);
	}
}

static void sha256_in_pieces_is_the_same(void **state)
{
	const char *text = sha_vectors[2].text;

	for (size_t cut = 0; cut <= strlen(text); cut++) {
		uint8_t digest[SHA256_BYTES], expected[SHA256_BYTES];
		struct sha256 h;
		struct err e;

		assert_int_equal(hex_decode(sha_vectors[2].hex, expected, sizeof(expected), &e), 0);
		sha256_init(&h);
		sha256_update(&h, text, cut);
		sha256_update(&h, text + cut, strlen(text) - cut);
		sha256_final(&h, digest);
		assert_memory_equal(digest, expected, sizeof(digest));
	}
}

static void hex_goes_both_ways(void **state)
{
	uint8_t all[256], back[256];
	char hex[513];
	struct err e;

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_encode(all, sizeof(all), hex);
	assert_int_equal(strlen(hex), 512);
	assert_int_equal(hex_decode(hex, back, sizeof(back), &e), 0);
	assert_memory_equal(all, back, sizeof(all));
	assert_int_equal(hex_decode("DEADbeef", back, 4, &e), 0);
	assert_memory_equal(back, "\xde\xad\xbe\xef", 4);
	hex_encode("", 0, hex);
	assert_string_equal(hex, "");
	assert_int_equal(hex_decode("", back, 0, &e), 0);
}

static void hex_refuses_all_else(void **state)
{
	static const char *const wrong[] = {"",     "0",    "012",  "01234",
					    "012g", " 012", "0x12", "-123"};
	uint8_t out[2] = {7, 7};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(hex_decode(wrong[i], out, sizeof(out), &e), -ERR_CORRUPT);
		assert_memory_equal(out, "\7\7", 2);
	}
	assert_int_equal(hex_decode("0", out, 0, &e), -ERR_CORRUPT);
}

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t len);
static const crc_fn crc_fns[] = {crc32c, crc32c_portable};

/* RFC 3720 appendix B.4 (bytes in wire order there), and the check value of the CRC catalogue. */
static void crc32c_matches_the_rfc(void **state)
{
	static const uint8_t read_command[48] = {
	    0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
	    0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
	    0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	for (int i = 0; i < 32; i++) {
		ones[i] = 0xff;
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(crc_fns); i++) {
		assert_int_equal(crc_fns[i](0, zeros, 32), 0x8a9136aa);
		assert_int_equal(crc_fns[i](0, ones, 32), 0x62a8ab43);
		assert_int_equal(crc_fns[i](0, up, 32), 0x46dd794e);
		assert_int_equal(crc_fns[i](0, down, 32), 0x113fdb5c);
		assert_int_equal(crc_fns[i](0, read_command, 48), 0xd9963a56);
		assert_int_equal(crc_fns[i](0, "123456789", 9), 0xe3069283);
		assert_int_equal(crc_fns[i](0, NULL, 0), 0);
		assert_int_equal(crc_fns[i](0x12345678, NULL, 0), 0x12345678);
	}
}

static void crc32c_continues_and_both_ways_agree(void **state)
{
	uint64_t seed = unit_seed();
	uint8_t data[300];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)unit_random(&seed);
	for (int round = 0; round < 2000; round++) {
		size_t start = unit_random(&seed) % 16;
		size_t len = unit_random(&seed) % (sizeof(data) - start);
		size_t cut = unit_random(&seed) % (len + 1);
		uint32_t whole = crc32c(0, data + start, len);

		assert_int_equal(crc32c_portable(0, data + start, len), whole);
		for (size_t i = 0; i < ARRAY_SIZE(crc_fns); i++) {
			uint32_t first = crc_fns[i](0, data + start, cut);

			assert_int_equal(crc_fns[i](first, data + start + cut, len - cut), whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256_matches_the_standard),
	    cmocka_unit_test(sha256_in_pieces_is_the_same),
	    cmocka_unit_test(hex_goes_both_ways),
	    cmocka_unit_test(hex_refuses_all_else),
	    cmocka_unit_test(crc32c_matches_the_rfc),
	    cmocka_unit_test(crc32c_continues_and_both_ways_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
