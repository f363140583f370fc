#include "base/secret.h"

#include "tests/unit/base/unit.h"

static void names(void **state)
{
	static const char *const secret[] = {
	    "TOKEN",         "GITHUB_TOKEN",
	    "MyApp__Secret", "DB_PASSWORD",
	    "PGPASSWORD",    "passwd",
	    "API_KEY",       "AWS_SECRET_KEY",
	    "CREDENTIALS",   "HTTP_AUTHORIZATION",
	    "apiKey",        "DB_PWD",
	    "private_pem",   "ConnectionStrings__Default",
	    "JWT_SALT",      "SESSION_ID",
	};
	static const char *const plain[] = {"PATH", "HOME",     "PWD",       "OLDPWD",
					    "PORT", "HOSTNAME", "LOG_LEVEL", ""};

	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		if (!secret_name(secret[i], strlen(secret[i]))) fail_msg("%s", secret[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (secret_name(plain[i], strlen(plain[i]))) fail_msg("%s", plain[i]);
	}
}

/* What is left of a value under an innocent name. */
static void values(void **state)
{
	static const struct {
		const char *value, *shown;
	} cases[] = {
	    {"plain", "plain"},
	    {"", ""},
	    {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", SECRET_MASK},
	    {"eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9"},
	    {"AKIAIOSFODNN7EXAMPLE", SECRET_MASK},
	    {"id=AKIAIOSFODNN7EXAMPLE;x", SECRET_MASK},
	    {"AKIA is a prefix of ids", "AKIA is a prefix of ids"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nMII", SECRET_MASK},
	    {"Bearer abcdefghijkl", SECRET_MASK},
	    {"ghp_0123456789abcdef", SECRET_MASK},
	    {"task-scheduler-service", "task-scheduler-service"},
	    {"https://host/path?x=1", "https://host/path?x=1"},
	    {"https://user:p4ss@host/p", "https://user:" SECRET_MASK "@host/p"},
	    {"https://token@host/p", "https://" SECRET_MASK "@host/p"},
	    {"https://host:80/a@b", "https://host:" SECRET_MASK "@b"},
	    {"https://host/a@b", "https://host/a@b"},
	    {"amqp://a:b@h1,amqp://c:d@h2",
	     "amqp://a:" SECRET_MASK "@h1,amqp://c:" SECRET_MASK "@h2"},
	    {"redis://:p@ss@h:1/0", "redis://:" SECRET_MASK "@h:1/0"},
	    {"jdbc:postgresql://h/db?user=u&password=p&ssl=true",
	     "jdbc:postgresql://h/db?user=u&password=" SECRET_MASK "&ssl=true"},
	    {"Server=db;User Id=sa;Password=a=b;Encrypt=no",
	     "Server=db;User Id=sa;Password=" SECRET_MASK ";Encrypt=" SECRET_MASK},
	    {"Server=db;Pwd='a;b';Port=1", "Server=db;Pwd=" SECRET_MASK ";Port=1"},
	    {"https://x.blob/c?sv=1&sig=abc", "https://x.blob/c?sv=1&sig=" SECRET_MASK},
	    {"X-Api-Key: abc def", "X-Api-Key: " SECRET_MASK},
	    {"Host: abc", "Host: abc"},
	    {"{\"user\":\"u\",\"password\":\"a,b\",\"port\":1}",
	     "{\"user\":\"u\",\"password\":" SECRET_MASK ",\"port\":1}"},
	    {"{\"token\": 5}", "{\"token\": " SECRET_MASK},
	    {"password: ", "password: "},
	    {"key:", "key:"},
	    {"=", "="},
	    {"://", "://"},
	    {"password=", "password="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT(4096);
		bool masked = false;

		assert_int_equal(secret_redact("X", 1, cases[i].value, strlen(cases[i].value), &out,
					       &masked, NULL),
				 0);
		assert_string_equal(out.data, cases[i].shown);
		assert_int_equal(masked, strcmp(cases[i].value, cases[i].shown) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
