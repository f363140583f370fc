#include "base/json.h"
#include "tests/unit/base/unit.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>

static void assert_document(struct json *j, const char *expected)
{
	struct err e = {0};

	if (json_finish(j, &e) != 0) fail_msg("%s", e.text);
	assert_string_equal(j->out->data, expected);
	buf_clear(j->out);
}

/* The same document both ways. */
static void write_sample(struct json *j)
{
	json_object(j);
	json_kv_string(j, "name", "web");
	json_key(j, "threads");
	json_array(j);
	json_object(j);
	json_kv_uint(j, "tid", 7);
	json_kv_bool(j, "blocked", true);
	json_object_end(j);
	json_object(j);
	json_object_end(j);
	json_array(j);
	json_array_end(j);
	json_int(j, -1);
	json_array_end(j);
	json_kv_hex(j, "pc", 0xffffffffff600000u);
	json_kv_int(j, "nice", INT64_MIN);
	json_kv_string(j, "note", NULL);
	json_object_end(j);
}

static void compact_has_no_blanks(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, false);
	write_sample(&j);
	assert_document(&j, "{\"name\":\"web\",\"threads\":[{\"tid\":7,\"blocked\":true},{},[],-1],"
			    "\"pc\":\"0xffffffffff600000\",\"nice\":-9223372036854775808,"
			    "\"note\":null}\n");
}

/* As json.dumps(indent=2) of Python prints it. */
static void indented_is_as_python_prints(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, true);
	write_sample(&j);
	assert_document(&j, "{\n"
			    "  \"name\": \"web\",\n"
			    "  \"threads\": [\n"
			    "    {\n"
			    "      \"tid\": 7,\n"
			    "      \"blocked\": true\n"
			    "    },\n"
			    "    {},\n"
			    "    [],\n"
			    "    -1\n"
			    "  ],\n"
			    "  \"pc\": \"0xffffffffff600000\",\n"
			    "  \"nice\": -9223372036854775808,\n"
			    "  \"note\": null\n"
			    "}\n");
}

static void json_lines_follow_with_one_writer(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, false);
	json_object(&j);
	json_object_end(&j);
	assert_int_equal(json_finish(&j, NULL), 0);
	json_array(&j);
	json_array_end(&j);
	assert_int_equal(json_finish(&j, NULL), 0);
	assert_string_equal(out.data, "{}\n[]\n");
}

static void numbers_print_whole(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, false);
	json_array(&j);
	json_uint(&j, UINT64_MAX);
	json_int(&j, INT64_MAX);
	json_hex(&j, 0);
	json_double(&j, 0.0625);
	json_double(&j, -2.5);
	json_double(&j, NAN);
	json_double(&j, INFINITY);
	json_null(&j);
	json_bool(&j, false);
	json_array_end(&j);
	assert_document(&j,
			"[18446744073709551615,9223372036854775807,\"0x0\",0.062,-2.500,null,null,"
			"null,false]\n");
	json_double(&j, -DBL_MAX);
	assert_int_equal(json_finish(&j, NULL), 0);
	assert_int_equal(out.len, 1 + 309 + 4 + 1);
}

/* --- strings --- */

static void assert_string(const char *value, size_t len, const char *expected)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096), quoted = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, false);
	json_string_n(&j, value, len);
	assert_int_equal(buf_printf(&quoted, NULL, "\"%s\"\n", expected), 0);
	assert_document(&j, quoted.data);
}

#define assert_literal(value, expected) assert_string(value, sizeof(value) - 1, expected)

static void strings_are_escaped(void **state)
{
	assert_literal("", "");
	assert_literal("a\"b\\c/d", "a\\\"b\\\\c/d");
	assert_literal("\b\f\n\r\t", "\\b\\f\\n\\r\\t");
	assert_literal("\x01\x1f\x7f", "\\u0001\\u001f\\u007f");
	assert_literal("a\0b", "a\\u0000b");
	assert_literal("\xc2\x9b[31m", "\\u009b[31m");
	/* The second byte of a C1 control may not be taken for a letter with a short escape. */
	assert_literal("\xc2\x80\xc2\xa0", "\\u0080\xc2\xa0");
	assert_literal("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		       "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

#define FFFD "\xef\xbf\xbd"

/* One U+FFFD for each maximal subpart, Unicode 15 section 3.9 (its table 3-8 is among these). */
static void ill_formed_utf8_is_replaced(void **state)
{
	assert_literal("\x80", FFFD);
	assert_literal("a\xff\xfe"
		       "b",
		       "a" FFFD FFFD "b");
	assert_literal("\xc0\xaf", FFFD FFFD);                   /* overlong */
	assert_literal("\xe0\x80\x80", FFFD FFFD FFFD);          /* overlong */
	assert_literal("\xed\xa0\x80", FFFD FFFD FFFD);          /* surrogate */
	assert_literal("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD); /* past U+10FFFF */
	assert_literal("\xf0\x9f\x98", FFFD);                    /* cut off */
	assert_literal("\xf0\x9f\x98\"", FFFD "\\\"");
	assert_literal("\xe2\x82", FFFD);
	assert_literal("\xc3", FFFD);
	assert_literal("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", FFFD FFFD FFFD FFFD "A");
	assert_literal("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
		       "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80");
}

static size_t put_utf8(char *at, uint32_t c)
{
	if (c < 0x80) {
		at[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		at[0] = (char)(0xc0 | c >> 6);
		at[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		at[0] = (char)(0xe0 | c >> 12);
		at[1] = (char)(0x80 | (c >> 6 & 63));
		at[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	at[0] = (char)(0xf0 | c >> 18);
	at[1] = (char)(0x80 | (c >> 12 & 63));
	at[2] = (char)(0x80 | (c >> 6 & 63));
	at[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* Another parser gives back what was written: random well-formed text, no NUL. */
static void strings_come_back_from_a_parser(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 2000; round++) {
		_cleanup_buf_ struct buf out = BUF_INIT(4096);
		char text[256];
		size_t len = 0;
		struct json j;
		cJSON *parsed;

		while (len < sizeof(text) - 5 && unit_random(&seed) % 40) {
			uint32_t widths[] = {0x80, 0x100, 0x800, 0x10000, 0x110000};
			uint32_t c =
			    (uint32_t)(unit_random(&seed) % widths[unit_random(&seed) % 5]);

			if (c != 0 && (c < 0xd800 || c > 0xdfff)) len += put_utf8(text + len, c);
		}
		text[len] = '\0';
		json_init(&j, &out, unit_random(&seed) & 1);
		json_object(&j);
		json_kv_string(&j, text, text);
		json_object_end(&j);
		assert_int_equal(json_finish(&j, NULL), 0);
		parsed = cJSON_Parse(out.data);
		assert_non_null(parsed);
		assert_string_equal(parsed->child->string, text);
		assert_string_equal(parsed->child->valuestring, text);
		cJSON_Delete(parsed);
	}
}

/* Whatever the bytes, the output parses, shows no control byte, and a second pass changes nothing:
 * it was well-formed. */
static void hostile_strings_stay_well_formed(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 2000; round++) {
		_cleanup_buf_ struct buf out = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);
		size_t len = unit_random(&seed) % 64;
		char bytes[64];
		struct json j;
		cJSON *parsed;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(1 + unit_random(&seed) % 255);
		json_init(&j, &out, false);
		json_string_n(&j, bytes, len);
		assert_int_equal(json_finish(&j, NULL), 0);
		for (size_t i = 0; i + 1 < out.len; i++)
			assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
		parsed = cJSON_Parse(out.data);
		assert_non_null(parsed);
		json_init(&j, &again, false);
		json_string(&j, parsed->valuestring);
		assert_int_equal(json_finish(&j, NULL), 0);
		assert_string_equal(out.data, again.data);
		cJSON_Delete(parsed);
	}
}

/* --- errors --- */

static void nesting_ends_at_32(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
	struct err e;
	struct json j;

	json_init(&j, &out, true);
	for (int i = 0; i < 32; i++)
		json_array(&j);
	for (int i = 0; i < 32; i++)
		json_array_end(&j);
	assert_int_equal(json_finish(&j, &e), 0);

	json_init(&j, &out, false);
	for (int i = 0; i < 40; i++)
		json_array(&j);
	for (int i = 0; i < 40; i++)
		json_array_end(&j);
	assert_int_equal(json_finish(&j, &e), -ERR_LIMIT);
	assert_contains(e.text, "deep");
}

static void a_full_buffer_sticks(void **state)
{
	for (size_t max = 0; max < 30; max++) {
		_cleanup_buf_ struct buf out = BUF_INIT(max);
		struct err e = {0};
		struct json j;

		json_init(&j, &out, true);
		json_object(&j);
		json_kv_string(&j, "key", "a long value that is over the cap");
		json_kv_uint(&j, "after", 1);
		json_object_end(&j);
		assert_int_equal(json_finish(&j, &e), -ERR_LIMIT);
		assert_int_equal(e.code, ERR_LIMIT);
		assert_int_equal(json_finish(&j, NULL), -ERR_LIMIT);
		assert_true(out.len <= max);
	}
}

/* Each letter is a call: { } [ ] k(ey) v(alue). */
static int finish_calls(const char *calls)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct json j;

	json_init(&j, &out, false);
	for (; *calls; calls++) {
		switch (*calls) {
		case '{':
			json_object(&j);
			break;
		case '}':
			json_object_end(&j);
			break;
		case '[':
			json_array(&j);
			break;
		case ']':
			json_array_end(&j);
			break;
		case 'k':
			json_key(&j, "k");
			break;
		default:
			json_uint(&j, 1);
		}
	}
	return json_finish(&j, NULL);
}

static void misuse_is_an_internal_error(void **state)
{
	static const char *const wrong[] = {"",      "{",   "[",   "}",   "]",   "{]",  "[}",
					    "{v}",   "{k}", "[k]", "kv",  "vv",  "{}v", "{}{}",
					    "{kkv}", "{kv", "[]]", "{k]", "{{}}"};
	static const char *const right[] = {"v", "{}", "[]", "[v]", "[vv]", "{kvkv}", "{k{k[]}kv}"};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (finish_calls(wrong[i]) != -ERR_INTERNAL) fail_msg("%s", wrong[i]);
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		if (finish_calls(right[i]) != 0) fail_msg("%s", right[i]);
}

static void a_document_stands_inside_another(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(200);
	struct json j;

	json_init(&j, &out, false);
	json_object(&j);
	json_key(&j, "a");
	json_document(&j, "{\"b\": 1}\n", 9);
	json_kv_bool(&j, "c", true);
	json_object_end(&j);
	assert_int_equal(json_finish(&j, NULL), 0);
	assert_string_equal(out.data, "{\"a\":{\"b\": 1},\"c\":true}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_document_stands_inside_another),
	    cmocka_unit_test(compact_has_no_blanks),
	    cmocka_unit_test(indented_is_as_python_prints),
	    cmocka_unit_test(json_lines_follow_with_one_writer),
	    cmocka_unit_test(numbers_print_whole),
	    cmocka_unit_test(strings_are_escaped),
	    cmocka_unit_test(ill_formed_utf8_is_replaced),
	    cmocka_unit_test(strings_come_back_from_a_parser),
	    cmocka_unit_test(hostile_strings_stay_well_formed),
	    cmocka_unit_test(nesting_ends_at_32),
	    cmocka_unit_test(a_full_buffer_sticks),
	    cmocka_unit_test(misuse_is_an_internal_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
