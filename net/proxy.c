#include "net/proxy.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Longer than any host name with a port. */
enum { RULE_SIZE = 300 };

struct address {
	uint8_t bytes[16];
	size_t len; /* 4 or 16 */
};

static bool parse_address(const char *text, struct address *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	ret->len = 4;
	if (inet_pton(AF_INET, text, ret->bytes) == 1) return true;
	ret->len = 16;
	if (inet_pton(AF_INET6, text, ret->bytes) != 1) return false;
	if (memcmp(ret->bytes, mapped, sizeof(mapped)) != 0) return true;
	memmove(ret->bytes, ret->bytes + 12, 4);
	ret->len = 4;
	return true;
}

static bool is_loopback(const struct address *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->len == 4 ? a->bytes[0] == 127 : memcmp(a->bytes, one, sizeof(one)) == 0;
}

static bool same_bits(const struct address *a, const struct address *b, size_t bits)
{
	size_t whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (a->len != b->len || bits > 8 * a->len) return false;
	if (memcmp(a->bytes, b->bytes, whole) != 0) return false;
	return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & mask) == 0;
}

/* "10.0.0.0/8": 1 if ip is in there, 0 if not, -1 if the rule is none of these. */
static int match_network(char *rule, const struct address *ip)
{
	char *slash = strchr(rule, '/'), *end;
	struct address network;
	unsigned long bits;

	if (!slash || !isdigit((unsigned char)slash[1])) return -1;
	bits = strtoul(slash + 1, &end, 10);
	*slash = '\0';
	if (*end || !parse_address(rule, &network) || bits > 8 * network.len) {
		*slash = '/';
		return -1;
	}
	return ip && same_bits(ip, &network, bits);
}

/* Cuts "host:port" or "[address]:port"; what has no port stays as it is. */
static const char *cut_port(char **host)
{
	char *colon = strrchr(*host, ':');
	size_t len;

	if (!colon) return "";
	len = (size_t)(colon - *host);
	if (**host == '[' && len >= 2 && colon[-1] == ']') {
		colon[-1] = '\0';
		++*host;
	} else if (memchr(*host, ':', len)) {
		return ""; /* a bare IPv6 address */
	}
	*colon = '\0';
	return colon + 1;
}

static bool match_name(const char *rule, const char *host)
{
	bool exact;
	size_t len, host_len = strlen(host);

	if (rule[0] == '*' && rule[1] == '.') rule++;
	exact = *rule != '.';
	if (exact && strcasecmp(rule, host) == 0) return true;
	/* ".b.c", and "b.c" too, are for every a.b.c. */
	rule += !exact;
	len = strlen(rule);
	return host_len > len && host[host_len - len - 1] == '.' &&
	       strcasecmp(host + host_len - len, rule) == 0;
}

static bool match_rule(char *rule, const char *host, const struct address *ip, const char *port)
{
	struct address its;
	const char *its_port;
	int r;

	if (strcmp(rule, "*") == 0) return true;
	r = match_network(rule, ip);
	if (r >= 0) return r;
	its_port = cut_port(&rule);
	if (!*rule || (*its_port && strcmp(its_port, port) != 0)) return false;
	if (parse_address(rule, &its)) return ip && same_bits(&its, ip, 8 * its.len);
	return !ip && match_name(rule, host);
}

bool proxy_is_bypassed(const char *no_proxy, const char *host, const char *port)
{
	struct address ip, *its = parse_address(host, &ip) ? &ip : NULL;
	char rule[RULE_SIZE];

	if (strcmp(host, "localhost") == 0 || (its && is_loopback(its))) return true;
	for (const char *p = no_proxy ? no_proxy : ""; *p;) {
		size_t len = strcspn(p, ","), skip = 0, end = len;

		while (skip < end && isspace((unsigned char)p[skip]))
			skip++;
		while (end > skip && isspace((unsigned char)p[end - 1]))
			end--;
		if (end > skip && end - skip < sizeof(rule)) {
			memcpy(rule, p + skip, end - skip);
			rule[end - skip] = '\0';
			if (match_rule(rule, host, its, port)) return true;
		}
		p += len;
		p += *p == ',';
	}
	return false;
}

static const char *variable(const char *upper, const char *lower, const char **ret_name)
{
	const char *value = getenv(upper);

	*ret_name = upper;
	if (value && *value) return value;
	*ret_name = lower;
	value = getenv(lower);
	return value && *value ? value : NULL;
}

const char *proxy_from_environment(bool https, const char *host, const char *port,
				   const char **ret_variable)
{
	const char *value, *no_proxy, *name;

	value = https ? variable("HTTPS_PROXY", "https_proxy", ret_variable)
		      : variable("HTTP_PROXY", "http_proxy", ret_variable);
	if (!value || (!https && getenv("REQUEST_METHOD"))) return NULL;
	no_proxy = variable("NO_PROXY", "no_proxy", &name);
	return proxy_is_bypassed(no_proxy, host, port) ? NULL : value;
}

static int set_scheme(CURLU *u, const char *scheme)
{
	char port[] = "1080";

	if (strcmp(scheme, "http") == 0)
		snprintf(port, sizeof(port), "80");
	else if (strcmp(scheme, "https") == 0)
		snprintf(port, sizeof(port), "443");
	else if (strcmp(scheme, "socks5") != 0 && strcmp(scheme, "socks5h") != 0)
		return -1;
	else if (curl_url_set(u, CURLUPART_SCHEME, "socks5h", CURLU_NON_SUPPORT_SCHEME))
		return -1;
	char *its = NULL;
	CURLUcode r = curl_url_get(u, CURLUPART_PORT, &its, 0);
	curl_free(its);
	if (r == CURLUE_NO_PORT) r = curl_url_set(u, CURLUPART_PORT, port, 0);
	return r ? -1 : 0;
}

int proxy_url(const char *value, const char *origin, char **ret, struct err *e)
{
	_cleanup_free_ char *full = NULL;
	char *scheme = NULL, *url = NULL;
	CURLU *u = curl_url();
	int r = 0;

	if (asprintf(&full, "%s%s", strstr(value, "://") ? "" : "http://", value) < 0) full = NULL;
	if (!u || !full) {
		r = err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	} else if (curl_url_set(u, CURLUPART_URL, full, CURLU_NON_SUPPORT_SCHEME) ||
		   curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) || set_scheme(u, scheme) ||
		   curl_url_get(u, CURLUPART_URL, &url, 0)) {
		err_set(e, ERR_USAGE, "%s is no URL of a proxy", origin);
		r = err_hint(e, "it should be http://HOST:PORT, https://HOST:PORT or "
				"socks5://HOST:PORT");
	} else {
		*ret = strdup(url);
		if (!*ret) r = err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	}
	curl_free(scheme);
	curl_free(url);
	curl_url_cleanup(u);
	return r;
}
