/*
 * Which proxy a request goes through, by the environment as Go's net/http, and so kubectl, reads
 * it: HTTPS_PROXY and HTTP_PROXY by the URL's scheme, NO_PROXY, each in upper case, else lower
 * case. libcurl's own reading differs: no HTTP_PROXY in upper case, ALL_PROXY, no ports and other
 * wildcards in NO_PROXY, loopback addresses through the proxy.
 * Source: https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "base/err.h"

/* The value for a URL of this scheme, host (no brackets) and port, borrowed from the environment,
 * and the variable's name; NULL: none. HTTP_PROXY does not count in a CGI program, where a client
 * can set it. */
const char *proxy_from_environment(bool https, const char *host, const char *port,
				   const char **ret_variable);
/* Does NO_PROXY's value (NULL: unset) keep host from the proxy? localhost and loopback addresses
 * never go there. */
bool proxy_is_bypassed(const char *no_proxy, const char *host, const char *port);
/* The proxy as libcurl must be given it to do what Go does: "host" is http://host:80, and
 * socks5 leaves names to the proxy. A heap string. -ERR_USAGE names origin and never the value,
 * which may hold a password. */
int proxy_url(const char *value, const char *origin, char **ret, struct err *e);

#endif
