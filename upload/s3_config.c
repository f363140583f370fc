#include "upload/s3_config.h"
#include "base/io.h"
#include "upload/s3_ini.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 4096 };

/* What one profile says in both files together. */
struct profile {
	const char *name;    /* borrowed */
	bool in_config_file; /* sections are "profile NAME" there, but "default" */
	bool found;
	const char *file; /* being read; borrowed */
	char *access_key, *secret_key, *session_token, *region, *endpoint, *ca_file;
	char *origin;      /* where access_key stands */
	char indirect[64]; /* the first setting that gets credentials elsewhere; empty: none */
};

static void profile_done(struct profile *p)
{
	free(p->access_key);
	free_secret(&p->secret_key);
	free_secret(&p->session_token);
	free(p->region);
	free(p->endpoint);
	free(p->ca_file);
	free(p->origin);
}

void s3_config_done(struct s3_config *c)
{
	free(c->access_key);
	free_secret(&c->secret_key);
	free_secret(&c->session_token);
	free(c->region);
	free(c->endpoint);
	free(c->ca_file);
	free(c->origin);
	*c = (struct s3_config){0};
}

/* A variable that is set and not empty, else NULL. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Replaces *to by a copy; values go into headers, so control bytes and spaces are refused. */
static int set_value(char **to, const char *value, const char *name, struct err *e)
{
	char *copy;

	if (strlen(value) > VALUE_MAX)
		return err_set(e, ERR_LIMIT, "%s: longer than %d bytes", name, VALUE_MAX);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, ERR_USAGE, "%s: holds a space or a control character",
				       name);
	copy = strdup(value);
	if (!copy) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", name);
	free_secret(to);
	*to = copy;
	return 0;
}

/* The same for a file name, where spaces are fine. */
static int set_path(char **to, const char *value, const char *name, struct err *e)
{
	char *copy = strdup(value);

	if (!copy) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", name);
	free(*to);
	*to = copy;
	return 0;
}

static bool section_matches(const struct profile *p, const char *section)
{
	if (strcmp(section, p->name) == 0)
		return !p->in_config_file || strcmp(section, "default") == 0;
	return p->in_config_file && strncmp(section, "profile ", 8) == 0 &&
	       strcmp(section + 8, p->name) == 0;
}

static int set_origin(struct profile *p, struct err *e)
{
	free(p->origin);
	if (asprintf(&p->origin, "%s [%s]", p->file, p->name) >= 0) return 0;
	p->origin = NULL;
	return err_set(e, ERR_NO_MEMORY, "%s: out of memory", p->file);
}

static int take_setting(void *ctx, const char *section, const char *key, const char *value,
			struct err *e)
{
	static const char *const indirect[] = {"credential_process", "role_arn", "sso_session",
					       "sso_start_url", "login_session"};
	struct profile *p = ctx;
	const struct {
		const char *key;
		char **to;
	} settings[] = {
	    {"aws_access_key_id", &p->access_key},    {"aws_secret_access_key", &p->secret_key},
	    {"aws_session_token", &p->session_token}, {"region", &p->region},
	    {"endpoint_url", &p->endpoint},
	};

	if (!section_matches(p, section)) return 0;
	p->found = true;
	for (size_t i = 0; i < ARRAY_SIZE(indirect); i++)
		if (strcmp(key, indirect[i]) == 0 && !p->indirect[0])
			snprintf(p->indirect, sizeof(p->indirect), "%s", key);
	if (strcmp(key, "ca_bundle") == 0) return set_path(&p->ca_file, value, key, e);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (strcmp(key, settings[i].key) != 0 || !*value) continue;
		if (i == 0) {
			int r = set_origin(p, e);
			if (r < 0) return r;
		}
		if (set_value(settings[i].to, value, key, e) == 0) return 0;
		return err_wrap(e, "%s [%s]", p->file, p->name);
	}
	return 0;
}

/* $variable, else ~/.aws/name; "" without a home. */
static void config_path(const char *variable, const char *name, char *ret, size_t size)
{
	const char *given = env(variable), *home = env("HOME");
	int n = 0;

	if (given && strncmp(given, "~/", 2) == 0 && home)
		n = snprintf(ret, size, "%s/%s", home, given + 2);
	else if (given)
		n = snprintf(ret, size, "%s", given);
	else if (home)
		n = snprintf(ret, size, "%s/.aws/%s", home, name);
	if (n <= 0 || (size_t)n >= size) ret[0] = '\0';
}

static int read_profile_file(struct profile *p, const char *path, bool is_config, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(S3_INI_FILE_MAX);
	struct err local;
	struct err *why = e ? e : &local;
	int r;

	if (!*path) return 0;
	r = io_read_file(AT_FDCWD, path, &text, why);
	if (r == -ERR_NOT_FOUND) return 0;
	if (r < 0) return r;
	p->in_config_file = is_config;
	p->file = path;
	r = s3_ini_parse(text.data ? text.data : "", text.len, path, take_setting, p, e);
	buf_wipe(&text);
	return r;
}

struct files {
	char config[1024], credentials[1024];
};

/* The credentials file comes last: what both say, it decides. */
static int read_profile(struct profile *p, const struct files *files, bool must_exist,
			struct err *e)
{
	int r = read_profile_file(p, files->config, true, e);

	if (r == 0) r = read_profile_file(p, files->credentials, false, e);
	if (r < 0 || p->found || !must_exist) return r;
	err_set(e, ERR_NOT_FOUND, "no AWS profile \"%s\" in %s or %s", p->name, files->credentials,
		files->config);
	return err_hint(e, "`aws configure list-profiles` lists those that exist");
}

static int no_credentials(const struct profile *p, const struct files *files, struct err *e)
{
	if (p->indirect[0]) {
		err_set(e, ERR_UNSUPPORTED,
			"AWS profile \"%s\" gets its credentials by %s, which podsnap does not do",
			p->name, p->indirect);
		return err_hint(e,
				"let the AWS CLI fetch them: eval \"$(aws configure "
				"export-credentials --profile %s --format env)\"",
				p->name);
	}
	err_set(e, ERR_AUTH,
		"no AWS credentials: AWS_ACCESS_KEY_ID is not set, and %s has no profile \"%s\" "
		"with aws_access_key_id",
		files->credentials[0] ? files->credentials : "~/.aws/credentials", p->name);
	return err_hint(e, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws "
			   "configure`; under sudo, pass them on: sudo --preserve-env=...");
}

static int no_secret(const char *origin, struct err *e)
{
	err_set(e, ERR_AUTH, "AWS credentials from %s: an access key without its secret key",
		origin);
	return err_hint(e, "set the secret key beside it (AWS_SECRET_ACCESS_KEY, or "
			   "aws_secret_access_key in the file)");
}

static int env_credentials(struct s3_config *c, struct err *e)
{
	const char *secret = env("AWS_SECRET_ACCESS_KEY"), *token = env("AWS_SESSION_TOKEN");
	int r;

	if (!secret) return no_secret("AWS_ACCESS_KEY_ID", e);
	r = set_value(&c->access_key, env("AWS_ACCESS_KEY_ID"), "AWS_ACCESS_KEY_ID", e);
	if (r == 0) r = set_value(&c->secret_key, secret, "AWS_SECRET_ACCESS_KEY", e);
	if (r == 0 && token) r = set_value(&c->session_token, token, "AWS_SESSION_TOKEN", e);
	if (r == 0) r = set_value(&c->origin, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID", e);
	return r;
}

static int profile_credentials(struct s3_config *c, struct profile *p, const struct files *files,
			       struct err *e)
{
	if (!p->access_key) return no_credentials(p, files, e);
	if (!p->secret_key) return no_secret(p->origin, e);
	c->access_key = STEAL_PTR(p->access_key);
	c->secret_key = STEAL_PTR(p->secret_key);
	c->session_token = STEAL_PTR(p->session_token);
	c->origin = STEAL_PTR(p->origin);
	return 0;
}

/* The first of these that is there. */
static int first_value(char **to, const char *const values[], const char *const names[],
		       size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (values[i] && *values[i]) return set_value(to, values[i], names[i], e);
	return 0;
}

static int place(struct s3_config *c, const struct sink_config *options, const struct profile *p,
		 struct err *e)
{
	const char *regions[] = {options->s3_region, env("AWS_REGION"), env("AWS_DEFAULT_REGION"),
				 p->region, "us-east-1"};
	const char *region_names[] = {"the S3 region", "AWS_REGION", "AWS_DEFAULT_REGION", "region",
				      "region"};
	const char *endpoints[] = {options->s3_endpoint, env("AWS_ENDPOINT_URL_S3"),
				   env("AWS_ENDPOINT_URL"), p->endpoint};
	const char *endpoint_names[] = {"the S3 endpoint", "AWS_ENDPOINT_URL_S3",
					"AWS_ENDPOINT_URL", "endpoint_url"};
	const char *ca = options->ca_file       ? options->ca_file
			 : env("AWS_CA_BUNDLE") ? env("AWS_CA_BUNDLE")
						: p->ca_file;
	int r = first_value(&c->region, regions, region_names, ARRAY_SIZE(regions), e);

	if (r == 0)
		r = first_value(&c->endpoint, endpoints, endpoint_names, ARRAY_SIZE(endpoints), e);
	if (r == 0 && ca) r = set_path(&c->ca_file, ca, "the CA file", e);
	return r;
}

/* Into *c, which the caller frees also on failure. */
static int load(const struct sink_config *options, struct profile *p, struct s3_config *c,
		struct err *e)
{
	const char *named = options->s3_profile ? options->s3_profile : env("AWS_PROFILE");
	struct files files;
	int r;

	p->name = named ? named : "default";
	config_path("AWS_CONFIG_FILE", "config", files.config, sizeof(files.config));
	config_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", files.credentials,
		    sizeof(files.credentials));
	r = read_profile(p, &files, named != NULL, e);
	if (r < 0) return r;
	if (!options->s3_profile && env("AWS_ACCESS_KEY_ID"))
		r = env_credentials(c, e);
	else
		r = profile_credentials(c, p, &files, e);
	return r == 0 ? place(c, options, p, e) : r;
}

int s3_config_load(const struct sink_config *options, struct s3_config *ret, struct err *e)
{
	struct profile p = {0};
	struct s3_config c = {0};
	int r = load(options, &p, &c, e);

	profile_done(&p);
	if (r < 0)
		s3_config_done(&c);
	else
		*ret = c;
	return r;
}
