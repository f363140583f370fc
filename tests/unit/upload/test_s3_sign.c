/* AWS's own vectors: "Signature Calculations for the Authorization Header" in the Amazon S3 API
 * Reference, and the aws-sig-v4-test-suite. */
#include "tests/unit/base/unit.h"
#include "upload/s3_sign.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct vector {
	const char *method, *path, *query;
	struct s3_pair headers[8];
	const char *payload_sha256, *signature;
};

static const struct vector s3_vectors[] = {
    {"GET",
     "/test.txt",
     "",
     {{"host", "examplebucket.s3.amazonaws.com"},
      {"range", "bytes=0-9"},
      {"x-amz-content-sha256", EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     EMPTY_SHA256,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test%24file.text",
     "",
     {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"host", "examplebucket.s3.amazonaws.com"},
      {"date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
      {"x-amz-date", "20130524T000000Z"}},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     "lifecycle=",
     {{"host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-content-sha256", EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     EMPTY_SHA256,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     "max-keys=2&prefix=J",
     {{"host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-content-sha256", EMPTY_SHA256},
      {"x-amz-date", "20130524T000000Z"}},
     EMPTY_SHA256,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static const struct vector suite_vectors[] = {
    {"GET",
     "/",
     "",
     {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
     EMPTY_SHA256,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"GET",
     "/",
     "Param1=value1&Param2=value2",
     {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
     EMPTY_SHA256,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
};

static void check_vector(const struct vector *v, const char *access_key, const char *secret_key,
			 const char *service)
{
	_cleanup_buf_ struct buf got = BUF_INIT(4096);
	struct s3_sign_input in = {
	    .method = v->method,
	    .path = v->path,
	    .query = v->query,
	    .headers = v->headers,
	    .payload_sha256 = v->payload_sha256,
	    .region = "us-east-1",
	    .service = service,
	    .access_key = access_key,
	    .secret_key = secret_key,
	};
	struct err e = {0};

	while (v->headers[in.header_count].name) {
		if (strcmp(v->headers[in.header_count].name, "x-amz-date") == 0)
			in.amz_date = v->headers[in.header_count].value;
		in.header_count++;
	}
	assert_int_equal(s3_sign(&in, &got, &e), 0);
	assert_contains(got.data, v->signature);
	assert_null(strstr(got.data, secret_key));
}

static void s3_reference_vectors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(s3_vectors); i++)
		check_vector(&s3_vectors[i], "AKIAIOSFODNN7EXAMPLE",
			     "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3");
}

static void test_suite_vectors(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(suite_vectors); i++)
		check_vector(&suite_vectors[i], "AKIDEXAMPLE",
			     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "service");
}

static void header_has_scope_and_sorted_names(void **state)
{
	_cleanup_buf_ struct buf got = BUF_INIT(4096);
	const struct s3_pair headers[] = {{"x-amz-date", "20130524T000000Z"}, {"host", "h"}};
	struct s3_sign_input in = {.method = "GET",
				   .path = "/",
				   .query = "",
				   .headers = headers,
				   .header_count = 2,
				   .payload_sha256 = EMPTY_SHA256,
				   .amz_date = "20130524T000000Z",
				   .region = "eu-west-3",
				   .service = "s3",
				   .access_key = "AK",
				   .secret_key = "SK"};
	struct err e = {0};

	assert_int_equal(s3_sign(&in, &got, &e), 0);
	assert_contains(got.data, "Credential=AK/20130524/eu-west-3/s3/aws4_request,");
	assert_contains(got.data, "SignedHeaders=host;x-amz-date,");
	in.header_count = S3_SIGN_HEADERS_MAX + 1;
	assert_int_equal(s3_sign(&in, &got, &e), -ERR_LIMIT);
}

static void query_is_sorted_and_encoded(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1024);
	const struct s3_pair pairs[] = {
	    {"uploadId", "a+b/c="}, {"partNumber", "2"}, {"uploads", ""}, {"A", "1"}};
	struct s3_pair many[S3_QUERY_MAX + 1] = {0};
	struct err e = {0};

	assert_int_equal(s3_query(pairs, ARRAY_SIZE(pairs), &b, &e), 0);
	assert_string_equal(b.data, "A=1&partNumber=2&uploadId=a%2Bb%2Fc%3D&uploads=");
	assert_int_equal(s3_query(many, ARRAY_SIZE(many), &b, &e), -ERR_LIMIT);
}

static void date_is_utc(void **state)
{
	char date[AMZ_DATE_SIZE];

	assert_string_equal(s3_amz_date(1369353600, date), "20130524T000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s3_reference_vectors),
	    cmocka_unit_test(test_suite_vectors),
	    cmocka_unit_test(header_has_scope_and_sorted_names),
	    cmocka_unit_test(query_is_sorted_and_encoded),
	    cmocka_unit_test(date_is_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
