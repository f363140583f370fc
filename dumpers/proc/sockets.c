/* The tables of /proc/PID/net. */
#include "dumpers/proc/fds.h"

#include "dumpers/proc/scan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const char *const table_names[SOCKET_TABLES] = {
    [SOCKET_TCP] = "tcp",   [SOCKET_TCP6] = "tcp6", [SOCKET_UDP] = "udp",
    [SOCKET_UDP6] = "udp6", [SOCKET_UNIX] = "unix",
};

/* include/net/tcp_states.h */
static const char *const tcp_states[] = {
    [1] = "ESTABLISHED", [2] = "SYN_SENT",  [3] = "SYN_RECV", [4] = "FIN_WAIT1",
    [5] = "FIN_WAIT2",   [6] = "TIME_WAIT", [7] = "CLOSE",    [8] = "CLOSE_WAIT",
    [9] = "LAST_ACK",    [10] = "LISTEN",   [11] = "CLOSING", [12] = "NEW_SYN_RECV",
};
/* include/uapi/linux/net.h, socket_state */
static const char *const unix_states[] = {
    [1] = "UNCONNECTED", [2] = "CONNECTING", [3] = "CONNECTED", [4] = "DISCONNECTING"};

/* include/linux/net.h: SO_ACCEPTCON of the flags column */
enum { UNIX_FLAG_LISTEN = 0x10000 };

const char *socket_table_name(enum socket_table table)
{
	return (unsigned)table < SOCKET_TABLES ? table_names[table] : "unknown";
}

static int compare_inode(const void *a, const void *b)
{
	const struct fd_info *x = *(struct fd_info *const *)a, *y = *(struct fd_info *const *)b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* The fds that have a socket's inode, several after dup or fork, sorted by it. */
struct by_inode {
	struct fd_info **v;
	size_t count;
};

static struct by_inode index_sockets(const struct fd_list *fds)
{
	struct by_inode index = {.v = calloc(fds->count + 1, sizeof(*index.v))};

	for (size_t i = 0; index.v && i < fds->count; i++) {
		if (fds->v[i].inode && strncmp(fds->v[i].target, "socket:", 7) == 0)
			index.v[index.count++] = &fds->v[i];
	}
	if (index.v) qsort(index.v, index.count, sizeof(*index.v), compare_inode);
	return index;
}

static void give(const struct by_inode *index, uint64_t inode, const struct socket_info *socket)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (index->v[mid]->inode < inode)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < index->count && index->v[low]->inode == inode; low++)
		index->v[low]->socket = *socket;
}

/* "0100007F:1F90": 32-bit words in the CPU's order, each printed as a number; one of them for IPv4,
 * four for IPv6. */
static bool format_address(struct scan *s, size_t words, char ret[SOCKET_TEXT_MAX])
{
	uint32_t address[4] = {0}, port;
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < words; i++) {
		struct scan word = {.at = s->at, .end = s->at + MIN(scan_left(s), (size_t)8)};

		if (!scan_u32(&word, 16, &address[i]) || word.at != s->at + 8) return false;
		s->at += 8;
	}
	if (!scan_char(s, ':') || !scan_u32(s, 16, &port) || port > UINT16_MAX) return false;
	if (!inet_ntop(words == 1 ? AF_INET : AF_INET6, address, text, sizeof(text))) return false;
	snprintf(ret, SOCKET_TEXT_MAX, words == 1 ? "%s:%u" : "[%s]:%u", text, port);
	return true;
}

static const char *state_name(const char *const *names, size_t count, uint64_t state)
{
	return state < count && names[state] ? names[state] : "";
}

/* "0: LOCAL PEER STATE tx:rx tr:when retrnsmt uid timeout INODE ..." */
static bool parse_inet(struct scan line, enum socket_table table, struct socket_info *ret,
		       uint64_t *ret_inode)
{
	size_t words = table == SOCKET_TCP6 || table == SOCKET_UDP6 ? 4 : 1;
	struct scan slot, local, peer, state, field;
	uint64_t number;

	if (!scan_field(&line, &slot) || !scan_field(&line, &local) || !scan_field(&line, &peer) ||
	    !scan_field(&line, &state) || !scan_u64(&state, 16, &number))
		return false;
	for (int i = 0; i < 5; i++) {
		if (!scan_field(&line, &field)) return false;
	}
	if (!scan_field(&line, &field) || !scan_u64(&field, 10, ret_inode)) return false;
	if (!format_address(&local, words, ret->local) || !format_address(&peer, words, ret->peer))
		return false;
	snprintf(ret->state, sizeof(ret->state), "%s",
		 state_name(tcp_states, ARRAY_SIZE(tcp_states), number));
	/* All zeros: nobody at the other end. */
	if (strcmp(ret->peer, words == 1 ? "0.0.0.0:0" : "[::]:0") == 0) ret->peer[0] = '\0';
	return true;
}

/* "Num: RefCount Protocol Flags Type St Inode [Path]"; a path may hold blanks. */
static bool parse_unix(struct scan line, struct socket_info *ret, uint64_t *ret_inode)
{
	struct scan number, ref, protocol, flags, type, state, inode;
	uint64_t flag_bits, state_number;

	if (!scan_field(&line, &number) || !scan_field(&line, &ref) ||
	    !scan_field(&line, &protocol) || !scan_field(&line, &flags) ||
	    !scan_u64(&flags, 16, &flag_bits) || !scan_field(&line, &type) ||
	    !scan_field(&line, &state) || !scan_u64(&state, 16, &state_number) ||
	    !scan_field(&line, &inode) || !scan_u64(&inode, 10, ret_inode))
		return false;
	scan_char(&line, ' ');
	scan_copy(&line, ret->local, sizeof(ret->local));
	snprintf(ret->state, sizeof(ret->state), "%s",
		 flag_bits & UNIX_FLAG_LISTEN
		     ? "LISTEN"
		     : state_name(unix_states, ARRAY_SIZE(unix_states), state_number));
	return true;
}

void socket_table_apply(const char *text, size_t len, enum socket_table table, struct fd_list *fds)
{
	struct by_inode index = index_sockets(fds);
	struct scan s = scan_of(text, len), line;

	while (index.count > 0 && scan_line(&s, &line)) {
		struct socket_info socket = {0};
		uint64_t inode = 0;
		bool ok = table == SOCKET_UNIX ? parse_unix(line, &socket, &inode)
					       : parse_inet(line, table, &socket, &inode);

		if (!ok || inode == 0) continue;
		snprintf(socket.proto, sizeof(socket.proto), "%s", socket_table_name(table));
		give(&index, inode, &socket);
	}
	free(index.v);
}
