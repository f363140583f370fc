#include "base/secret.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* User and password of a URL are not looked for further than this. */
enum { URL_USER_MAX = 4096 };

static const char *const secret_words[] = {
    "TOKEN", "SECRET",  "PASS",   "KEY",     "CREDENTIAL",       "AUTH",   "PRIVATE",
    "JWT",   "SESSION", "COOKIE", "BEARER",  "CONNECTIONSTRING", "APIKEY", "SIGNATURE",
    "SASL",  "CREDS",   "PWD",    "ENCRYPT", "CONNECTION_STRING"};
/* The shell's directories, which hold one of the words. */
static const char *const harmless_names[] = {"PWD", "OLDPWD"};
/* Keys too short to look for inside a name, in a=b lists and URL queries. */
static const char *const secret_keys[] = {"pw", "sig", "sas"};

static const char *const value_prefixes[] = {
    "-----BEGIN", "Bearer ",     "Basic ", "ghp_",  "gho_",   "ghu_",  "ghs_",
    "ghr_",       "github_pat_", "glpat-", "xoxb-", "xoxp-",  "xoxa-", "xapp-",
    "sk_live_",   "rk_live_",    "sk-",    "AIza",  "ya29.",  "hvs.",  "hvb.",
    "npm_",       "dckr_pat_",   "SG.",    "pypi-", "dop_v1_"};

static bool equals_nocase(const char *a, size_t len, const char *b)
{
	return len == strlen(b) && strncasecmp(a, b, len) == 0;
}

static bool contains_nocase(const char *text, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (size_t i = 0; i + word_len <= len; i++) {
		if (strncasecmp(text + i, word, word_len) == 0) return true;
	}
	return false;
}

bool secret_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless_names); i++) {
		if (len == strlen(harmless_names[i]) && !memcmp(name, harmless_names[i], len))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(secret_words); i++) {
		if (contains_nocase(name, len, secret_words[i])) return true;
	}
	return false;
}

static bool is_base64url(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* RFC 7519: three base64url parts; a header that is a JSON object begins with "eyJ". */
static bool is_jwt_at(const char *p, size_t len)
{
	size_t dots = 0;

	if (len < 20 || memcmp(p, "eyJ", 3) != 0) return false;
	for (size_t i = 0; i < len && (is_base64url(p[i]) || p[i] == '.'); i++)
		dots += p[i] == '.';
	return dots >= 2;
}

/* AWS: AKIA or ASIA and 16 capitals and digits. */
static bool is_aws_key_at(const char *p, size_t len)
{
	if (len < 20 || (memcmp(p, "AKIA", 4) != 0 && memcmp(p, "ASIA", 4) != 0)) return false;
	for (size_t i = 4; i < 20; i++) {
		if (!isupper((unsigned char)p[i]) && !isdigit((unsigned char)p[i])) return false;
	}
	return true;
}

static bool has_prefix_at(const char *p, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(value_prefixes); i++) {
		size_t prefix_len = strlen(value_prefixes[i]);

		/* With nothing behind it, it is a word of its own, not a token. */
		if (len >= prefix_len + 8 && !memcmp(p, value_prefixes[i], prefix_len)) return true;
	}
	return false;
}

bool secret_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* A token starts a word; inside one, "task-..." would look like "sk-...". */
		if (i > 0 && (is_base64url(value[i - 1]) || value[i - 1] == '.')) continue;
		if (is_jwt_at(value + i, len - i) || is_aws_key_at(value + i, len - i) ||
		    has_prefix_at(value + i, len - i))
			return true;
	}
	return false;
}

static bool is_secret_key(const char *key, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_keys); i++) {
		if (equals_nocase(key, len, secret_keys[i])) return true;
	}
	return equals_nocase(key, len, "pwd") || secret_name(key, len);
}

/* --- parts of a value ------------------------------------------------------------------------- */

/* The password of "scheme://user:password@host" whose "://" is at p: where it starts and ends. */
static bool find_url_password(const char *p, const char *end, const char **ret_start,
			      const char **ret_end)
{
	const char *colon = NULL, *at = NULL;

	if (end - p > URL_USER_MAX) end = p + URL_USER_MAX;
	for (const char *q = p + 3; q < end && !isspace((unsigned char)*q) && *q != '"'; q++) {
		/* The next URL: also keeps a value of "://" only from being searched to its end
		 * from each of them. */
		if (end - q > 2 && !memcmp(q, "://", 3)) break;
		/* A password may hold '/' unescaped by mistake: only with an '@' behind it. */
		if (*q == '@')
			at = q;
		else if (*q == ':' && !colon)
			colon = q;
		else if (*q == ',' && at)
			break;
		else if ((*q == '/' || *q == '?') && (at || !colon))
			break;
	}
	if (!at) return false;
	/* "token@host": the user alone may be the secret. */
	*ret_start = colon && colon < at ? colon + 1 : p + 3;
	*ret_end = at;
	return *ret_end > *ret_start;
}

static bool is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == ' ';
}
static bool ends_pair(char c)
{
	return c == ';' || c == '&' || c == ',' || c == '\n';
}

/* "key=value", "Header: value", "\"key\":value": is the separator at p? */
static bool is_separator(const char *start, const char *p, const char *end)
{
	if (*p == '=') return true;
	return *p == ':' && ((p + 1 < end && p[1] == ' ') || (p > start && p[-1] == '"'));
}

/* The key whose separator is at p (not before start), a quote and blanks around it taken off. */
static bool key_before_is_secret(const char *start, const char *p)
{
	const char *key;

	if (p > start && p[-1] == '"') p--;
	key = p;

	while (key > start && is_key_char(key[-1]))
		key--;
	while (key < p && *key == ' ')
		key++;
	while (p > key && p[-1] == ' ')
		p--;
	return p > key && is_secret_key(key, (size_t)(p - key));
}

/* Where the value that starts at q ends; a quoted one may hold separators. */
static const char *pair_end(const char *q, const char *end)
{
	if (q < end && (*q == '"' || *q == '\'')) {
		const char *close = memchr(q + 1, *q, (size_t)(end - q - 1));

		if (close) return close + 1;
	}
	while (q < end && !ends_pair(*q))
		q++;
	return q;
}

/* The next part of [at, end) to hide; false when there is none. */
static bool next_hidden(const char *value, const char *at, const char *end, const char **ret_start,
			const char **ret_end)
{
	for (const char *p = at; p < end; p++) {
		if (end - p > 3 && !memcmp(p, "://", 3) &&
		    find_url_password(p, end, ret_start, ret_end))
			return true;
		if (is_separator(value, p, end) && key_before_is_secret(value, p)) {
			*ret_start = p + 1 < end && p[1] == ' ' ? p + 2 : p + 1;
			*ret_end = pair_end(*ret_start, end);
			if (*ret_end > *ret_start) return true;
		}
	}
	return false;
}

int secret_redact(const char *name, size_t name_len, const char *value, size_t len, struct buf *ret,
		  bool *ret_masked, struct err *e)
{
	const char *at = value, *end = value + len, *start, *stop;

	if (len > 0 && (secret_name(name, name_len) || secret_value(value, len))) {
		*ret_masked = true;
		return buf_puts(ret, SECRET_MASK, e);
	}
	while (next_hidden(value, at, end, &start, &stop)) {
		int r = buf_append(ret, at, (size_t)(start - at), e);

		if (r < 0) return r;
		r = buf_puts(ret, SECRET_MASK, e);
		if (r < 0) return r;
		*ret_masked = true;
		at = stop;
	}
	return buf_append(ret, at, (size_t)(end - at), e);
}
