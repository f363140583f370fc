#include "tests/unit/base/unit.h"
#include "upload/s3_error.h"
#include "upload/s3_upload.h"

static void part_sizes_reach_the_largest_object(void **state)
{
	uint64_t total = 0;

	assert_int_equal(s3_part_bytes(1), 8 * MIB);
	assert_int_equal(s3_part_bytes(1000), 8 * MIB);
	assert_int_equal(s3_part_bytes(1001), 16 * MIB);
	for (unsigned int n = 1; n <= S3_PARTS_MAX; n++) {
		assert_true(s3_part_bytes(n) <= 5 * GIB);
		assert_true(s3_part_bytes(n) >= 5 * MIB);
		total += s3_part_bytes(n);
	}
	assert_true(total >= 5 * 1024 * GIB);
}

static const struct {
	int status;
	const char *code, *body, *headers;
	size_t headers_len;
	enum err_code expect;
	const char *hint;
} answers[] = {
    {403, "InvalidAccessKeyId", "", NULL, 0, ERR_AUTH, "access key from [here]"},
    {403, "SignatureDoesNotMatch", "<StringToSign>HUNTER2</StringToSign>", NULL, 0, ERR_AUTH,
     "secret key"},
    {400, "ExpiredToken", "", NULL, 0, ERR_AUTH, "session token"},
    {403, "RequestTimeTooSkewed", "", NULL, 0, ERR_AUTH, "clock"},
    {403, "AccessDenied", "", NULL, 0, ERR_FORBIDDEN, "arn:aws:s3:::bkt/*"},
    {404, "NoSuchBucket", "", NULL, 0, ERR_NOT_FOUND, "aws s3 mb s3://bkt --region us-east-1"},
    {400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>", NULL, 0, ERR_USAGE,
     "AWS_REGION=eu-west-3"},
    {301, "PermanentRedirect", "", "x-amz-bucket-region: eu-west-1", 31, ERR_USAGE,
     "AWS_REGION=eu-west-1"},
    {301, "PermanentRedirect", "<Region>$(reboot)</Region>", NULL, 0, ERR_USAGE,
     "get-bucket-location"},
    {301, "", "", "X-Amz-Bucket-Region: eu-west-1", 31, ERR_USAGE, "AWS_REGION=eu-west-1"},
    {412, "PreconditionFailed", "", NULL, 0, ERR_EXISTS, ""},
    {507, "XMinioStorageFull", "", NULL, 0, ERR_NO_SPACE, ""},
    {500, "InternalError", "", NULL, 0, ERR_SERVER, ""},
    {503, "", "", NULL, 0, ERR_SERVER, ""},
    {400, "", "", NULL, 0, ERR_SERVER, "speaks S3"},
    {403, "SomethingNew", "", NULL, 0, ERR_FORBIDDEN, ""},
};

static void answers_become_errors(void **state)
{
	const struct s3_call call = {.doing = "upload"};
	struct s3_client c = {0};

	c.config.region = (char *)"us-east-1";
	c.config.origin = (char *)"[here]";
	c.config.secret_key = (char *)"HUNTER2";
	c.place.bucket = (char *)"bkt";
	c.place.location = (char *)"s3://bkt/k";
	c.place.endpoint = (char *)"https://e";
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		_cleanup_s3_reply_ struct s3_reply reply = {.http = {.status = answers[i].status,
								     .body = BUF_INIT(1024),
								     .headers = BUF_INIT(1024)}};
		struct err e = {0};

		snprintf(reply.code, sizeof(reply.code), "%s", answers[i].code);
		assert_int_equal(buf_printf(&reply.http.body, &e,
					    "<Error><Message>why</Message>%s</Error>",
					    answers[i].body),
				 0);
		if (answers[i].headers)
			assert_int_equal(buf_append(&reply.http.headers, answers[i].headers,
						    answers[i].headers_len, &e),
					 0);
		assert_int_equal(s3_error(&c, &call, &reply, &e), -(int)answers[i].expect);
		assert_int_equal(e.code, answers[i].expect);
		assert_contains(e.text, "s3://bkt/k: ");
		assert_contains(e.hint, answers[i].hint);
		assert_null(strstr(e.hint, "reboot"));
		assert_null(strstr(e.text, "HUNTER2"));
		if (answers[i].expect != ERR_EXISTS) assert_contains(e.text, answers[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(part_sizes_reach_the_largest_object),
	    cmocka_unit_test(answers_become_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
