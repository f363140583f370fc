#include "upload/s3_place.h"
#include "net/http.h"

#include <stdio.h>
#include <string.h>

/* An endpoint taken apart; slices of the text. */
struct endpoint {
	bool https;
	const char *host; /* with the port, unless that is the scheme's */
	size_t host_len;
	const char *prefix; /* "" or "/..." without a slash at its end */
	size_t prefix_len;
};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool only(const char *text, size_t len, const char *others)
{
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && (!text[i] || !strchr(others, text[i]))) return false;
	return true;
}

static int bad_endpoint(const char *text, struct err *e)
{
	/* A user and password must not get into a message. */
	err_set(e, ERR_USAGE, "the S3 endpoint is not a URL of a server: %s",
		strchr(text, '@') ? "it holds a user name" : text);
	err_hint(e, "write it as https://HOST[:PORT] or http://HOST[:PORT]");
	return -ERR_USAGE;
}

static int parse_endpoint(const char *text, struct endpoint *ret, struct err *e)
{
	const char *rest, *port, *slash;
	struct endpoint p = {0};

	p.https = strncmp(text, "https://", 8) == 0;
	if (!p.https && strncmp(text, "http://", 7) != 0) return bad_endpoint(text, e);
	rest = text + (p.https ? 8 : 7);
	slash = strchrnul(rest, '/');
	p.host = rest;
	p.host_len = (size_t)(slash - rest);
	p.prefix = slash;
	p.prefix_len = strlen(slash);
	while (p.prefix_len > 0 && p.prefix[p.prefix_len - 1] == '/')
		p.prefix_len--;
	if (p.host_len == 0 || p.host_len > 512 || p.prefix_len > 512 ||
	    !only(p.host, p.host_len, ".-_:[]") || !only(p.prefix, p.prefix_len, "/-._~"))
		return bad_endpoint(text, e);
	/* The HTTP client leaves the scheme's own port out of the Host header, which is signed. */
	port = p.https ? ":443" : ":80";
	if (p.host_len > strlen(port) &&
	    memcmp(p.host + p.host_len - strlen(port), port, strlen(port)) == 0)
		p.host_len -= strlen(port);
	*ret = p;
	return 0;
}

/* Amazon S3 User Guide, "General purpose bucket naming rules". Old buckets and other stores have
 * upper case and underscores too. */
static int check_bucket(const char *bucket, const char *destination, struct err *e)
{
	size_t len = strlen(bucket);

	if (len >= 1 && len <= 255 && is_alnum(bucket[0]) && only(bucket, len, ".-_")) return 0;
	err_set(e, ERR_USAGE, "%s: not a bucket's name: \"%s\"", destination, bucket);
	err_hint(e, "write the destination as s3://BUCKET/KEY or s3://BUCKET/PREFIX/");
	return -ERR_USAGE;
}

/* HTTP clients and proxies fold "." and ".." segments, and then the signature is wrong. */
static bool has_dot_segment(const char *key)
{
	for (const char *p = key; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		size_t n = strcspn(p, "/");

		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return true;
	}
	return false;
}

static int check_key(const char *key, const char *destination, struct err *e)
{
	size_t len = strlen(key);

	if (len == 0 || key[len - 1] == '/')
		return err_set(e, ERR_USAGE, "%s: names no object", destination);
	if (len > S3_KEY_MAX)
		return err_set(e, ERR_USAGE, "%s: a key of %zu bytes; S3 allows %d", destination,
			       len, S3_KEY_MAX);
	if (has_dot_segment(key))
		return err_set(e, ERR_USAGE, "%s: a key with a \".\" or \"..\" segment",
			       destination);
	for (const char *p = key; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_USAGE, "the S3 key holds a control character");
	return 0;
}

static int no_memory(const char *what, struct err *e)
{
	err_set(e, ERR_NO_MEMORY, "%s: out of memory", what);
	return -ERR_NO_MEMORY;
}

/* Fills bucket, key and location. */
static int split_destination(struct s3_place *p, const struct s3_place_input *in, struct err *e)
{
	const char *rest = in->destination + strlen("s3://"), *slash = strchrnul(rest, '/');
	const char *key = *slash ? slash + 1 : "";
	bool append = !*key || key[strlen(key) - 1] == '/';
	int r;

	p->bucket = strndup(rest, (size_t)(slash - rest));
	if (asprintf(&p->key, "%s%s", key, append && in->name ? in->name : "") < 0) p->key = NULL;
	if (!p->bucket || !p->key) return no_memory(in->destination, e);
	r = check_bucket(p->bucket, in->destination, e);
	if (r == 0) r = check_key(p->key, in->destination, e);
	if (r < 0) return r;
	if (asprintf(&p->location, "s3://%s/%s", p->bucket, p->key) < 0) {
		p->location = NULL;
		return no_memory(in->destination, e);
	}
	return 0;
}

static int aws_endpoint(const char *region, char **ret, struct err *e)
{
	if (!*region || strlen(region) > 64 || !only(region, strlen(region), "-"))
		return err_set(e, ERR_USAGE, "not a region's name: \"%s\"", region);
	if (asprintf(ret, "https://s3.%s.amazonaws.com%s", region,
		     strncmp(region, "cn-", 3) == 0 ? ".cn" : "") >= 0)
		return 0;
	*ret = NULL;
	return no_memory("the S3 endpoint", e);
}

/* Lower case without dots: a dot would break the wildcard of the TLS certificate. */
static bool is_dns_label(const char *bucket)
{
	size_t len = strlen(bucket);

	if (len < 3 || len > 63 || bucket[len - 1] == '-') return false;
	for (; *bucket; bucket++)
		if (*bucket == '.' || *bucket == '_' || (*bucket >= 'A' && *bucket <= 'Z'))
			return false;
	return true;
}

static int build_urls(struct s3_place *p, bool path_style, struct err *e)
{
	_cleanup_buf_ struct buf path = BUF_INIT(8192);
	struct endpoint at = {0};
	int r = parse_endpoint(p->endpoint, &at, e);

	if (r == 0) r = buf_append(&path, at.prefix, at.prefix_len, e);
	if (r == 0) r = buf_puts(&path, "/", e);
	if (r == 0 && path_style) r = buf_printf(&path, e, "%s/", p->bucket);
	if (r == 0) r = http_encode(&path, p->key, "/", e);
	if (r < 0) return r;
	if (asprintf(&p->host, "%s%s%.*s", path_style ? "" : p->bucket, path_style ? "" : ".",
		     (int)at.host_len, at.host) < 0)
		p->host = NULL;
	if (p->host && asprintf(&p->origin, "%s://%s", at.https ? "https" : "http", p->host) < 0)
		p->origin = NULL;
	p->path = buf_steal(&path);
	return p->host && p->origin && p->path ? 0 : no_memory(p->location, e);
}

int s3_place_init(struct s3_place *p, const struct s3_place_input *in, struct err *e)
{
	struct s3_place place = {0};
	int r = split_destination(&place, in, e);

	if (r == 0 && in->endpoint) {
		place.endpoint = strdup(in->endpoint);
		if (!place.endpoint) r = no_memory("the S3 endpoint", e);
	} else if (r == 0) {
		r = aws_endpoint(in->region, &place.endpoint, e);
	}
	if (r == 0)
		r = build_urls(&place,
			       in->path_style || in->endpoint || !is_dns_label(place.bucket), e);
	if (r < 0) {
		s3_place_done(&place);
		return r;
	}
	*p = place;
	return 0;
}

void s3_place_done(struct s3_place *p)
{
	free(p->bucket);
	free(p->key);
	free(p->location);
	free(p->origin);
	free(p->host);
	free(p->path);
	free(p->endpoint);
	*p = (struct s3_place){0};
}
