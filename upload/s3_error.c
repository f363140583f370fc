#include "upload/s3_error.h"
#include "upload/s3_xml.h"

#include <stdio.h>
#include <string.h>

/* The next step, chosen by the error's code or kind. */
enum advice {
	ADVICE_NONE,
	ADVICE_KEY,
	ADVICE_SECRET,
	ADVICE_TOKEN,
	ADVICE_CLOCK,
	ADVICE_RIGHTS,
	ADVICE_BUCKET,
	ADVICE_NAME,
	ADVICE_REGION,
	ADVICE_ENDPOINT,
};

static const struct {
	const char *s3;
	enum err_code code;
	enum advice advice;
} codes[] = {
    {"InvalidAccessKeyId", ERR_AUTH, ADVICE_KEY},
    {"SignatureDoesNotMatch", ERR_AUTH, ADVICE_SECRET},
    {"ExpiredToken", ERR_AUTH, ADVICE_TOKEN},
    {"InvalidToken", ERR_AUTH, ADVICE_TOKEN},
    {"InvalidTokenId", ERR_AUTH, ADVICE_TOKEN},
    {"TokenRefreshRequired", ERR_AUTH, ADVICE_TOKEN},
    {"RequestTimeTooSkewed", ERR_AUTH, ADVICE_CLOCK},
    {"AccessDenied", ERR_FORBIDDEN, ADVICE_RIGHTS},
    {"AllAccessDisabled", ERR_FORBIDDEN, ADVICE_NONE},
    {"AccountProblem", ERR_FORBIDDEN, ADVICE_NONE},
    {"NoSuchBucket", ERR_NOT_FOUND, ADVICE_BUCKET},
    {"NoSuchUpload", ERR_NOT_FOUND, ADVICE_NONE},
    {"NoSuchKey", ERR_NOT_FOUND, ADVICE_NONE},
    {"InvalidBucketName", ERR_USAGE, ADVICE_NONE},
    {"XMinioInvalidObjectName", ERR_USAGE, ADVICE_NAME},
    {"KeyTooLongError", ERR_USAGE, ADVICE_NAME},
    {"PermanentRedirect", ERR_USAGE, ADVICE_REGION},
    {"TemporaryRedirect", ERR_USAGE, ADVICE_REGION},
    {"AuthorizationHeaderMalformed", ERR_USAGE, ADVICE_REGION},
    {"IncorrectEndpoint", ERR_USAGE, ADVICE_REGION},
    {"InvalidRegion", ERR_USAGE, ADVICE_REGION},
    {"PreconditionFailed", ERR_EXISTS, ADVICE_NONE},
    {"ConditionalRequestConflict", ERR_EXISTS, ADVICE_NONE},
    {"EntityTooLarge", ERR_LIMIT, ADVICE_NONE},
    {"QuotaExceeded", ERR_NO_SPACE, ADVICE_NONE},
    {"XMinioStorageFull", ERR_NO_SPACE, ADVICE_NONE},
    {"XMinioAdminBucketQuotaExceeded", ERR_NO_SPACE, ADVICE_NONE},
    {"NotImplemented", ERR_UNSUPPORTED, ADVICE_NONE},
};

static void judge(const struct s3_reply *reply, enum err_code *ret_code, enum advice *ret_advice)
{
	int status = reply->http.status;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (strcmp(reply->code, codes[i].s3) != 0) continue;
		*ret_code = codes[i].code;
		*ret_advice = codes[i].advice;
		return;
	}
	*ret_advice = reply->code[0] || status >= 500 ? ADVICE_NONE : ADVICE_ENDPOINT;
	*ret_code = status == 401   ? ERR_AUTH
		    : status == 403 ? ERR_FORBIDDEN
		    : status == 404 ? ERR_NOT_FOUND
		    : status == 412 ? ERR_EXISTS
		    : status == 507 ? ERR_NO_SPACE
				    : ERR_SERVER;
}

/* The region that the bucket is really in; "" if the answer does not tell. */
static void right_region(const struct s3_reply *reply, char *ret, size_t size)
{
	const char *header = http_response_header(&reply->http, "x-amz-bucket-region");

	ret[0] = '\0';
	if (header)
		snprintf(ret, size, "%s", header);
	else if (reply->http.body.len > 0)
		s3_xml_text(reply->http.body.data, reply->http.body.len, "Region", ret, size);
	/* It becomes part of a command. */
	for (const char *p = ret; *p; p++)
		if (*p != '-' && !(*p >= '0' && *p <= '9') && !(*p >= 'a' && *p <= 'z'))
			ret[0] = '\0';
}

static int hint_region(const struct s3_client *c, const char *region, struct err *e)
{
	if (*region)
		return err_hint(e, "the bucket is in %s, not in %s: AWS_REGION=%s", region,
				c->config.region, region);
	return err_hint(e,
			"the bucket is not in %s: `aws s3api get-bucket-location --bucket %s` says "
			"where it is; set AWS_REGION to that",
			c->config.region, c->place.bucket);
}

static int give_advice(const struct s3_client *c, enum advice advice, const char *region,
		       struct err *e)
{
	const char *origin = c->config.origin, *bucket = c->place.bucket;
	const char *endpoint = c->config.endpoint;

	switch (advice) {
	case ADVICE_KEY:
		return err_hint(e, "%s does not know the access key from %s: check it",
				c->place.endpoint, origin);
	case ADVICE_SECRET:
		return err_hint(e, "the secret key that goes with %s is wrong: set it again",
				origin);
	case ADVICE_TOKEN:
		return err_hint(e,
				"the session token that goes with %s is no longer good: get new "
				"credentials (aws sso login, aws sts ...)",
				origin);
	case ADVICE_CLOCK:
		return err_hint(e, "this machine's clock is wrong: compare `date -u` with the "
				   "store's, and set it (timedatectl set-ntp true)");
	case ADVICE_RIGHTS:
		return err_hint(e,
				"allow s3:PutObject and s3:AbortMultipartUpload on "
				"arn:aws:s3:::%s/* to the owner of the key from %s",
				bucket, origin);
	case ADVICE_BUCKET:
		return err_hint(e, "create it: aws s3 mb s3://%s --region %s%s%s", bucket,
				c->config.region, endpoint ? " --endpoint-url " : "",
				endpoint ? endpoint : "");
	case ADVICE_NAME:
		return err_hint(e, "choose another key: -o s3://%s/KEY", bucket);
	case ADVICE_REGION:
		return hint_region(c, region, e);
	case ADVICE_ENDPOINT:
		return err_hint(e, "check that %s speaks S3: that was no answer of S3's",
				c->place.endpoint);
	case ADVICE_NONE:
		break;
	}
	return e ? -e->code : 0;
}

int s3_error(const struct s3_client *c, const struct s3_call *call, const struct s3_reply *reply,
	     struct err *e)
{
	const struct buf *body = &reply->http.body;
	enum advice advice;
	enum err_code code;
	char message[256] = "", region[64];
	int r;

	judge(reply, &code, &advice);
	right_region(reply, region, sizeof(region));
	if (advice == ADVICE_ENDPOINT && *region) {
		/* The answer to HEAD has no body, but this header. */
		advice = ADVICE_REGION;
		code = ERR_USAGE;
	}
	if (body->len > 0 && reply->code[0])
		s3_xml_text(body->data, body->len, "Message", message, sizeof(message));
	if (code == ERR_EXISTS)
		r = err_set(e, code, "%s: exists already", c->place.location);
	else
		r = err_set(e, code, "%s: %s: %s%s%s (HTTP %d)", c->place.location, call->doing,
			    reply->code[0] ? reply->code : "refused", message[0] ? ": " : "",
			    message, reply->http.status);
	give_advice(c, advice, region, e);
	return r;
}

int s3_no_reply(const struct s3_client *c, const struct s3_call *call, int result, struct err *e)
{
	err_wrap(e, "%s: %s", c->place.location, call->doing);
	if ((result == -ERR_NETWORK || result == -ERR_TIMEOUT) && e && !e->hint[0])
		err_hint(e, "check that the store at %s runs and can be reached from here",
			 c->place.endpoint);
	return result;
}
