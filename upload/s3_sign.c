#include "upload/s3_sign.h"
#include "base/hash.h"
#include "net/http.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { CANONICAL_MAX = 64 << 10, KEY_MAX = 512, DATE_LEN = 8 };

static int compare_pairs(const void *a, const void *b)
{
	const struct s3_pair *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->value, y->value);
}

int s3_query(const struct s3_pair *pairs, size_t count, struct buf *ret, struct err *e)
{
	struct s3_pair sorted[S3_QUERY_MAX];
	int r = 0;

	if (count > S3_QUERY_MAX)
		return err_set(e, ERR_LIMIT, "more than %d query parameters", S3_QUERY_MAX);
	if (count == 0) return 0;
	memcpy(sorted, pairs, count * sizeof(*pairs));
	qsort(sorted, count, sizeof(*sorted), compare_pairs);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (i > 0) r = buf_puts(ret, "&", e);
		if (r == 0) r = http_encode(ret, sorted[i].name, "", e);
		if (r == 0) r = buf_puts(ret, "=", e);
		if (r == 0) r = http_encode(ret, sorted[i].value, "", e);
	}
	return r;
}

char *s3_amz_date(time_t time, char ret[AMZ_DATE_SIZE])
{
	struct tm tm;

	if (!gmtime_r(&time, &tm) || strftime(ret, AMZ_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
		memcpy(ret, "19700101T000000Z", AMZ_DATE_SIZE);
	return ret;
}

static int hmac(const void *key, size_t key_len, const char *text, uint8_t ret[SHA256_BYTES],
		struct err *e)
{
	unsigned int len = SHA256_BYTES;

	if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), ret,
		  &len))
		return err_set(e, ERR_NO_MEMORY, "HMAC-SHA256 failed");
	return 0;
}

/* The key of one day, region and service. */
static int derive_key(const struct s3_sign_input *in, uint8_t ret[SHA256_BYTES], struct err *e)
{
	char date[DATE_LEN + 1] = {0}, first[KEY_MAX];
	uint8_t day[SHA256_BYTES], region[SHA256_BYTES], service[SHA256_BYTES];
	size_t secret_len = strlen(in->secret_key);
	int r;

	if (secret_len + 5 > sizeof(first))
		return err_set(e, ERR_LIMIT, "the secret key is longer than %d bytes", KEY_MAX - 5);
	memcpy(date, in->amz_date, DATE_LEN);
	snprintf(first, sizeof(first), "AWS4%s", in->secret_key);
	r = hmac(first, strlen(first), date, day, e);
	if (r == 0) r = hmac(day, sizeof(day), in->region, region, e);
	if (r == 0) r = hmac(region, sizeof(region), in->service, service, e);
	if (r == 0) r = hmac(service, sizeof(service), "aws4_request", ret, e);
	OPENSSL_cleanse(first, sizeof(first));
	OPENSSL_cleanse(day, sizeof(day));
	OPENSSL_cleanse(region, sizeof(region));
	OPENSSL_cleanse(service, sizeof(service));
	return r;
}

static int signed_names(const struct s3_pair *sorted, size_t count, struct buf *ret, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = buf_printf(ret, e, "%s%s", i > 0 ? ";" : "", sorted[i].name);
	return r;
}

static int canonical_hash(const struct s3_sign_input *in, const struct s3_pair *sorted,
			  const char *names, char ret[SHA256_HEX], struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(CANONICAL_MAX);
	uint8_t digest[SHA256_BYTES];
	int r = buf_printf(&text, e, "%s\n%s\n%s\n", in->method, in->path, in->query);

	for (size_t i = 0; i < in->header_count && r == 0; i++)
		r = buf_printf(&text, e, "%s:%s\n", sorted[i].name, sorted[i].value);
	if (r == 0) r = buf_printf(&text, e, "\n%s\n%s", names, in->payload_sha256);
	if (r < 0) return r;
	sha256_of(text.data, text.len, digest);
	/* The session token was among the headers. */
	OPENSSL_cleanse(text.data, text.len);
	hex_encode(digest, sizeof(digest), ret);
	return 0;
}

int s3_sign(const struct s3_sign_input *in, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf names = BUF_INIT(4096), scope = BUF_INIT(512),
				 text = BUF_INIT(1024);
	struct s3_pair sorted[S3_SIGN_HEADERS_MAX];
	uint8_t key[SHA256_BYTES], signature[SHA256_BYTES];
	char hex[SHA256_HEX];
	int r;

	if (in->header_count > S3_SIGN_HEADERS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d signed headers", S3_SIGN_HEADERS_MAX);
	memcpy(sorted, in->headers, in->header_count * sizeof(*sorted));
	qsort(sorted, in->header_count, sizeof(*sorted), compare_pairs);
	r = signed_names(sorted, in->header_count, &names, e);
	if (r == 0) r = canonical_hash(in, sorted, names.data, hex, e);
	if (r == 0)
		r = buf_printf(&scope, e, "%.8s/%s/%s/aws4_request", in->amz_date, in->region,
			       in->service);
	if (r == 0)
		r = buf_printf(&text, e, "AWS4-HMAC-SHA256\n%s\n%s\n%s", in->amz_date, scope.data,
			       hex);
	if (r == 0) r = derive_key(in, key, e);
	if (r == 0) r = hmac(key, sizeof(key), text.data, signature, e);
	OPENSSL_cleanse(key, sizeof(key));
	if (r < 0) return r;
	hex_encode(signature, sizeof(signature), hex);
	return buf_printf(ret, e, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
			  in->access_key, scope.data, names.data, hex);
}
