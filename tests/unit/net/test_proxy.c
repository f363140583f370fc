#include "net/proxy.h"
#include "tests/unit/base/unit.h"

/* Cases of golang.org/x/net/http/httpproxy's own description and code. */
static void no_proxy_is_read_as_go_reads_it(void **state)
{
	static const struct {
		const char *no_proxy, *host, *port;
		bool bypassed;
	} cases[] = {
	    {NULL, "example.com", "443", false},
	    {"", "localhost", "443", true},
	    {NULL, "127.3.2.1", "443", true},
	    {NULL, "::1", "443", true},
	    {NULL, "::ffff:127.0.0.1", "443", true},
	    {"*", "example.com", "443", true},
	    {"a, *", "example.com", "443", true},
	    {"example.com", "example.com", "443", true},
	    {"EXAMPLE.com", "Example.COM", "443", true},
	    {"example.com", "www.example.com", "443", true},
	    {"example.com", "notexample.com", "443", false},
	    {".example.com", "www.example.com", "443", true},
	    {".example.com", "example.com", "443", false},
	    {"*.example.com", "a.b.example.com", "443", true},
	    {"*.example.com", "example.com", "443", false},
	    {"example.com:443", "example.com", "443", true},
	    {"example.com:80", "example.com", "443", false},
	    {"a.b ,\texample.com:443 , c", "x.example.com", "443", true},
	    {"10.0.0.0/8", "10.1.2.3", "443", true},
	    {"10.0.0.0/8", "11.1.2.3", "443", false},
	    {"10.96.0.0/12", "10.111.255.255", "443", true},
	    {"10.96.0.0/12", "10.112.0.0", "443", false},
	    {"0.0.0.0/0", "8.8.8.8", "443", true},
	    {"0.0.0.0/0", "fd00::1", "443", false},
	    {"0.0.0.0/0", "example.com", "443", false},
	    {"10.0.0.0/33", "10.0.0.0", "443", false},
	    {"10.0.0.0/8x", "10.0.0.1", "443", false},
	    {"10.0.0.0/", "10.0.0.0", "443", false},
	    {"0.1", "10.96.0.1", "443", false},
	    {"fd00::/8", "fd12::1", "443", true},
	    {"fd00::/8", "fe80::1", "443", false},
	    {"10.96.0.1", "10.96.0.1", "443", true},
	    {"10.96.0.1:6443", "10.96.0.1", "443", false},
	    {"10.96.0.1:6443", "10.96.0.1", "6443", true},
	    {"fd00::1", "fd00::1", "443", true},
	    {"[fd00::1]:443", "fd00::1", "443", true},
	    {"[fd00::1]:80", "fd00::1", "443", false},
	    {"::ffff:10.0.0.1", "10.0.0.1", "443", true},
	    {":443,,/,[,]:", "example.com", "443", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (proxy_is_bypassed(cases[i].no_proxy, cases[i].host, cases[i].port) !=
		    cases[i].bypassed)
			fail_msg("NO_PROXY=%s, %s:%s", cases[i].no_proxy, cases[i].host,
				 cases[i].port);
}

static void a_rule_that_is_too_long_is_none(void **state)
{
	char no_proxy[1000];

	memset(no_proxy, 'a', sizeof(no_proxy));
	strcpy(no_proxy + sizeof(no_proxy) - 10, ",b.c");
	assert_true(proxy_is_bypassed(no_proxy, "b.c", "443"));
	assert_false(proxy_is_bypassed(no_proxy, "b.d", "443"));
}

static void the_variable_follows_the_scheme(void **state)
{
	static const char *const names[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
					    "http_proxy",  "NO_PROXY",    "no_proxy",
					    "ALL_PROXY",   "all_proxy",   "REQUEST_METHOD"};
	const char *from;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
	setenv("ALL_PROXY", "http://all", 1);
	assert_null(proxy_from_environment(true, "h", "443", &from));
	setenv("https_proxy", "http://lower", 1);
	assert_string_equal(proxy_from_environment(true, "h", "443", &from), "http://lower");
	assert_string_equal(from, "https_proxy");
	setenv("HTTPS_PROXY", "http://upper", 1);
	assert_string_equal(proxy_from_environment(true, "h", "443", &from), "http://upper");
	assert_string_equal(from, "HTTPS_PROXY");
	assert_null(proxy_from_environment(false, "h", "80", &from));
	setenv("HTTP_PROXY", "plain", 1);
	assert_string_equal(proxy_from_environment(false, "h", "80", &from), "plain");
	setenv("REQUEST_METHOD", "GET", 1);
	assert_null(proxy_from_environment(false, "h", "80", &from));
	assert_non_null(proxy_from_environment(true, "h", "443", &from));
	setenv("no_proxy", "h", 1);
	assert_null(proxy_from_environment(true, "h", "443", &from));
	setenv("NO_PROXY", "other", 1);
	assert_non_null(proxy_from_environment(true, "h", "443", &from));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
}

static void a_proxy_gets_go_s_scheme_and_port(void **state)
{
	static const struct {
		const char *value, *url;
	} cases[] = {
	    {"proxy", "http://proxy:80/"},
	    {"proxy:3128", "http://proxy:3128/"},
	    {"http://proxy", "http://proxy:80/"},
	    {"https://proxy/", "https://proxy:443/"},
	    {"HTTP://u:p%40@proxy:8080", "http://u:p%40@proxy:8080/"},
	    {"socks5://proxy", "socks5h://proxy:1080/"},
	    {"socks5h://proxy:99", "socks5h://proxy:99/"},
	    {"[fd00::1]:3128", "http://[fd00::1]:3128/"},
	    {"ftp://proxy", NULL},
	    {"http://", NULL},
	    {"http://u:hidden@proxy:port", NULL},
	    {"http://a b", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *url = NULL;
		struct err e;
		int r = proxy_url(cases[i].value, "HTTPS_PROXY", &url, &e);

		if (cases[i].url) {
			assert_int_equal(r, 0);
			assert_string_equal(url, cases[i].url);
		} else {
			assert_int_equal(r, -ERR_USAGE);
			assert_contains(e.text, "HTTPS_PROXY is no URL");
			assert_null(strstr(e.text, "hidden"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_proxy_is_read_as_go_reads_it),
	    cmocka_unit_test(a_rule_that_is_too_long_is_none),
	    cmocka_unit_test(the_variable_follows_the_scheme),
	    cmocka_unit_test(a_proxy_gets_go_s_scheme_and_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
