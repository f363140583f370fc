#include "tests/unit/base/unit.h"
#include "upload/s3_place.h"
#include "upload/s3_xml.h"

struct good {
	struct s3_place_input in;
	const char *location, *origin, *host, *path;
};

static const struct good goods[] = {
    {{"s3://bucket/a/b.zst", "n", NULL, "eu-west-3", false},
     "s3://bucket/a/b.zst",
     "https://bucket.s3.eu-west-3.amazonaws.com",
     "bucket.s3.eu-west-3.amazonaws.com",
     "/a/b.zst"},
    {{"s3://bucket/a/", "n", NULL, "cn-north-1", true},
     "s3://bucket/a/n",
     "https://s3.cn-north-1.amazonaws.com.cn",
     "s3.cn-north-1.amazonaws.com.cn",
     "/bucket/a/n"},
    {{"s3://my.dots", "n", NULL, "us-east-1", false},
     "s3://my.dots/n",
     "https://s3.us-east-1.amazonaws.com",
     "s3.us-east-1.amazonaws.com",
     "/my.dots/n"},
    {{"s3://b-1/sp ace+\xc3\xa9", NULL, "http://127.0.0.1:9000/", "us-east-1", false},
     "s3://b-1/sp ace+\xc3\xa9",
     "http://127.0.0.1:9000",
     "127.0.0.1:9000",
     "/b-1/sp%20ace%2B%C3%A9"},
    {{"s3://bkt/k", NULL, "https://store.example:443/api/v1", "us-east-1", false},
     "s3://bkt/k",
     "https://store.example",
     "store.example",
     "/api/v1/bkt/k"},
    {{"s3://bkt/k", NULL, "http://[::1]:80", "us-east-1", false},
     "s3://bkt/k",
     "http://[::1]",
     "[::1]",
     "/bkt/k"},
};

static void places_become_urls(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(goods); i++) {
		struct s3_place p = {0};
		struct err e = {0};

		if (s3_place_init(&p, &goods[i].in, &e) < 0) fail_msg("%s", e.text);
		assert_string_equal(p.location, goods[i].location);
		assert_string_equal(p.origin, goods[i].origin);
		assert_string_equal(p.host, goods[i].host);
		assert_string_equal(p.path, goods[i].path);
		s3_place_done(&p);
	}
}

static void bad_places_are_refused(void **state)
{
	char long_key[S3_KEY_MAX + 32];
	const struct s3_place_input bads[] = {
	    {"s3://", "n", NULL, "us-east-1", false},
	    {"s3:///key", "n", NULL, "us-east-1", false},
	    {"s3://buc ket/key", "n", NULL, "us-east-1", false},
	    {"s3://u:p@bucket/key", "n", NULL, "us-east-1", false},
	    {"s3://bucket/", NULL, NULL, "us-east-1", false},
	    {"s3://bucket/a/../b", "n", NULL, "us-east-1", false},
	    {"s3://bucket/./b", "n", NULL, "us-east-1", false},
	    {"s3://bucket/a/..", "n", NULL, "us-east-1", false},
	    {"s3://bucket/a\nb", "n", NULL, "us-east-1", false},
	    {long_key, "n", NULL, "us-east-1", false},
	    {"s3://bucket/k", "n", NULL, "us-east-1.evil.example/", false},
	    {"s3://bucket/k", "n", NULL, "", false},
	    {"s3://bucket/k", "n", "localhost:9000", "us-east-1", false},
	    {"s3://bucket/k", "n", "http://", "us-east-1", false},
	    {"s3://bucket/k", "n", "http://h/?x", "us-east-1", false},
	    {"s3://bucket/k", "n", "http://u:hunter2@h", "us-east-1", false},
	    {"s3://bucket/k", "n", "ftp://h", "us-east-1", false},
	};

	memset(long_key, 'k', sizeof(long_key));
	memcpy(long_key, "s3://bucket/", 12);
	long_key[sizeof(long_key) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		struct s3_place p = {0};
		struct err e = {0};

		if (s3_place_init(&p, &bads[i], &e) != -ERR_USAGE)
			fail_msg("taken: %s at %s", bads[i].destination, bads[i].endpoint);
		assert_null(strstr(e.text, "hunter2"));
		assert_null(p.path);
	}
}

static void xml_text_is_found_and_decoded(void **state)
{
	static const char xml[] = "<?xml version=\"1.0\"?>\n<Error><Code>Access&amp;Denied</Code>"
				  "<CodeX>no</CodeX><Message a=\"b\">a &lt;b&gt; \n\"</Message>"
				  "<Empty/><Region>eu";
	char text[32];

	assert_true(s3_xml_text(xml, strlen(xml), "Code", text, sizeof(text)));
	assert_string_equal(text, "Access&Denied");
	assert_true(s3_xml_text(xml, strlen(xml), "Message", text, sizeof(text)));
	assert_string_equal(text, "a <b> ?\"");
	assert_false(s3_xml_text(xml, strlen(xml), "Region", text, sizeof(text)));
	assert_false(s3_xml_text(xml, strlen(xml), "Missing", text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(s3_xml_text(xml, strlen(xml), "Code", text, 5));
	assert_string_equal(text, "Acce");
	assert_false(s3_xml_text("", 0, "Code", text, sizeof(text)));
	/* Cut anywhere, it is never read beyond. */
	for (size_t len = 0; len <= strlen(xml); len++) {
		char *cut = malloc(len ? len : 1);

		memcpy(cut, xml, len);
		s3_xml_text(cut, len, "Message", text, sizeof(text));
		assert_true(strlen(text) <= strlen("a <b> ?\""));
		free(cut);
	}
}

static void xml_is_escaped(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(256);
	struct err e = {0};

	assert_int_equal(s3_xml_escape("\"a<&>'", &b, &e), 0);
	assert_string_equal(b.data, "&quot;a&lt;&amp;&gt;'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_become_urls),
	    cmocka_unit_test(bad_places_are_refused),
	    cmocka_unit_test(xml_text_is_found_and_decoded),
	    cmocka_unit_test(xml_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
