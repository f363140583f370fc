#include "base/buf.h"
#include "tests/unit/upload/temp_dir.h"
#include "upload/s3_config.h"
#include "upload/s3_ini.h"

static const char *const variables[] = {
    "AWS_ACCESS_KEY_ID",  "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",          "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",      "AWS_ENDPOINT_URL_S3",        "AWS_PROFILE",
    "AWS_CA_BUNDLE",      "AWS_CONFIG_FILE",       "AWS_SHARED_CREDENTIALS_FILE"};

static const struct sink_config no_options;

/* An empty environment whose AWS files are in the test's directory. */
static int setup(void **state)
{
	char path[PATH_MAX];

	if (temp_dir_make(state) < 0) return -1;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	snprintf(path, sizeof(path), "%s/config", (char *)*state);
	setenv("AWS_CONFIG_FILE", path, 1);
	snprintf(path, sizeof(path), "%s/credentials", (char *)*state);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	return 0;
}

static void put(const char *variable, const char *text)
{
	file_put(getenv(variable), text);
}

static void must_load(const struct sink_config *options, struct s3_config *ret)
{
	struct err e = {0};

	if (s3_config_load(options, ret, &e) < 0) fail_msg("%s", e.text);
}

static void environment_alone_suffices(void **state)
{
	struct s3_config c = {0};

	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SKENV", 1);
	must_load(&no_options, &c);
	assert_string_equal(c.access_key, "AKENV");
	assert_string_equal(c.secret_key, "SKENV");
	assert_null(c.session_token);
	assert_null(c.endpoint);
	assert_string_equal(c.region, "us-east-1");
	s3_config_done(&c);

	setenv("AWS_SESSION_TOKEN", "TOKEN", 1);
	setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
	setenv("AWS_ENDPOINT_URL", "http://general:1", 1);
	must_load(&no_options, &c);
	assert_string_equal(c.session_token, "TOKEN");
	assert_string_equal(c.region, "eu-west-1");
	assert_string_equal(c.endpoint, "http://general:1");
	s3_config_done(&c);

	setenv("AWS_REGION", "eu-west-2", 1);
	setenv("AWS_ENDPOINT_URL_S3", "http://s3only:2", 1);
	must_load(&no_options, &c);
	assert_string_equal(c.region, "eu-west-2");
	assert_string_equal(c.endpoint, "http://s3only:2");
	s3_config_done(&c);
}

static void files_of_a_profile_are_merged(void **state)
{
	struct s3_config c = {0};

	put("AWS_SHARED_CREDENTIALS_FILE",
	    "# mine\n[default]\naws_access_key_id = AKD\naws_secret_access_key=SKD\n"
	    "[ work ]\r\nAWS_ACCESS_KEY_ID=AKW ; note\r\naws_secret_access_key = S/K+W=#x\r\n");
	put("AWS_CONFIG_FILE", "[profile  work]\nregion = eu-central-1\ns3 =\n  region = nested\n"
			       "  max_concurrent_requests = 20\nendpoint_url = http://work:9000\n"
			       "[work]\nregion = not-this\n[default]\nregion=ap-south-1\n"
			       "aws_access_key_id = IGNORED\n");
	must_load(&no_options, &c);
	assert_string_equal(c.access_key, "AKD");
	assert_string_equal(c.region, "ap-south-1");
	assert_null(c.endpoint);
	s3_config_done(&c);

	setenv("AWS_PROFILE", "work", 1);
	must_load(&no_options, &c);
	assert_string_equal(c.access_key, "AKW");
	assert_string_equal(c.secret_key, "S/K+W=#x");
	assert_string_equal(c.region, "eu-central-1");
	assert_string_equal(c.endpoint, "http://work:9000");
	assert_contains(c.origin, "[work]");
	s3_config_done(&c);
}

static void options_win_over_environment_over_files(void **state)
{
	const struct sink_config options = {.s3_profile = "work",
					    .s3_region = "option-1",
					    .s3_endpoint = "https://option",
					    .ca_file = "/o ca"};
	struct s3_config c = {0};

	put("AWS_SHARED_CREDENTIALS_FILE",
	    "[work]\naws_access_key_id=AKW\naws_secret_access_key=SKW\nregion=file-1\n");
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SKENV", 1);
	setenv("AWS_PROFILE", "work", 1);
	setenv("AWS_CA_BUNDLE", "/env ca", 1);
	must_load(&no_options, &c);
	assert_string_equal(c.access_key, "AKENV");
	assert_string_equal(c.region, "file-1");
	assert_string_equal(c.ca_file, "/env ca");
	s3_config_done(&c);
	must_load(&options, &c);
	assert_string_equal(c.access_key, "AKW");
	assert_string_equal(c.region, "option-1");
	assert_string_equal(c.endpoint, "https://option");
	assert_string_equal(c.ca_file, "/o ca");
	s3_config_done(&c);
}

static void missing_credentials_say_where_they_were_sought(void **state)
{
	const struct sink_config named = {.s3_profile = "nope"};
	struct s3_config c = {0};
	char path[PATH_MAX];
	struct err e = {0};

	assert_int_equal(s3_config_load(&no_options, &c, &e), -ERR_AUTH);
	assert_contains(e.text, "AWS_ACCESS_KEY_ID");
	snprintf(path, sizeof(path), "%s/credentials", (char *)*state);
	assert_contains(e.text, path);
	assert_contains(e.hint, "aws configure");
	assert_int_equal(s3_config_load(&named, &c, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "nope");
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	assert_int_equal(s3_config_load(&no_options, &c, &e), -ERR_AUTH);
	assert_contains(e.hint, "AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_ACCESS_KEY_ID");
	put("AWS_CONFIG_FILE", "[default]\nsso_session = corp\nregion = eu-west-1\n");
	assert_int_equal(s3_config_load(&no_options, &c, &e), -ERR_UNSUPPORTED);
	assert_contains(e.text, "sso_session");
	assert_contains(e.hint, "export-credentials");
}

static void broken_values_never_show(void **state)
{
	static const char *const texts[] = {
	    "[default]\naws_access_key_id=AK\nHUNTER2\n",
	    "[default\nHUNTER2=1\n",
	    "HUNTER2=1\n",
	    "[default]\naws_access_key_id=AK\naws_secret_access_key=HUNTER2 x\n",
	    "[]\nHUNTER2=1\n",
	    "[default]\n=HUNTER2\n",
	};
	struct s3_config c = {0};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err e = {0};

		put("AWS_SHARED_CREDENTIALS_FILE", texts[i]);
		assert_true(s3_config_load(&no_options, &c, &e) < 0);
		assert_contains(e.text, "credentials");
		assert_null(strstr(e.text, "HUNTER2"));
		assert_null(strstr(e.hint, "HUNTER2"));
	}
	assert_null(c.access_key);
}

static int count_settings(void *ctx, const char *section, const char *key, const char *value,
			  struct err *e)
{
	++*(int *)ctx;
	return 0;
}

static void ini_has_caps(void **state)
{
	static const char bom[] = "\xef\xbb\xbf[a]\nk=1\n\n#x\n;y\nl = ";
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	struct err e = {0};
	int count = 0;

	assert_int_equal(buf_puts(&text, "[a]\nk=", &e), 0);
	for (int i = 0; i < S3_INI_LINE_MAX; i++)
		assert_int_equal(buf_puts(&text, "x", &e), 0);
	assert_int_equal(s3_ini_parse(text.data, text.len, "f", count_settings, &count, &e),
			 -ERR_LIMIT);
	assert_contains(e.text, "f:2");
	assert_int_equal(s3_ini_parse("[a]\nk\0=1\n", 9, "f", count_settings, &count, &e),
			 -ERR_CORRUPT);
	assert_int_equal(count, 0);
	assert_int_equal(s3_ini_parse(bom, strlen(bom), "f", count_settings, &count, &e), 0);
	assert_int_equal(count, 2);
	assert_int_equal(s3_ini_parse("", 0, "f", count_settings, &count, &e), 0);
}

static void ini_survives_random_bytes(void **state)
{
	static const char alphabet[] = "[]=#; \t\r\n\nabAB\0\xff";
	uint64_t random = unit_seed();

	for (int round = 0; round < 20000; round++) {
		char *text = malloc(64);
		size_t len = unit_random(&random) % 64;
		struct err e = {0};
		int count = 0, r;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[unit_random(&random) % (sizeof(alphabet) - 1)];
		r = s3_ini_parse(text, len, "f", count_settings, &count, &e);
		assert_true(r == 0 || r == -ERR_CORRUPT);
		assert_true(count <= 32);
		free(text);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, temp_dir_remove)
	const struct CMUnitTest tests[] = {
	    TEST(environment_alone_suffices),
	    TEST(files_of_a_profile_are_merged),
	    TEST(options_win_over_environment_over_files),
	    TEST(missing_credentials_say_where_they_were_sought),
	    TEST(broken_values_never_show),
	    TEST(ini_has_caps),
	    TEST(ini_survives_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
