/*
 * The open files of a process: /proc/PID/fd, fdinfo and, for sockets, the tables of its network
 * namespace under /proc/PID/net (proc(5), Documentation/networking/proc_net_tcp.rst).
 */
#ifndef DUMPERS_PROC_FDS_H
#define DUMPERS_PROC_FDS_H

#include "dumpers/proc/process.h"

enum {
	FDS_COUNT_MAX = 16384,
	FD_TARGET_MAX = 256,         /* longer link targets are cut */
	SOCKET_TEXT_MAX = 112,       /* "[ipv6]:port", or a path in AF_UNIX */
	SOCKET_TABLE_MAX = 16 << 20, /* text of one table; a larger one is left out */
};

struct socket_info {
	char proto[8];  /* "tcp", "tcp6", "udp", "udp6", "unix"; "" not in those tables */
	char state[16]; /* "ESTABLISHED", "LISTEN", ...; unix: "CONNECTED", "LISTEN", ... */
	char local[SOCKET_TEXT_MAX]; /* "10.0.0.1:80", "[::1]:80", a path, "@abstract", or "" */
	char peer[SOCKET_TEXT_MAX];  /* "" where there is none or it is not told (unix) */
};

struct fd_info {
	int fd;
	char target[FD_TARGET_MAX]; /* "/path", "socket:[5]", "pipe:[6]", "anon_inode:[eventpoll]";
				       "" not readable */
	uint64_t inode;             /* of "socket:[N]" and "pipe:[N]", else 0 */
	bool has_fdinfo;
	uint64_t pos;
	uint64_t flags; /* O_ flags of open(2) */
	struct socket_info socket;
};

struct fd_list {
	struct fd_info *v; /* ascending by fd; owned */
	size_t count;
	bool cut; /* there are more than FDS_COUNT_MAX */
};
void fd_list_done(struct fd_list *list);
#define _cleanup_fd_list_ _cleanup_(fd_list_done)

/* Lists them. -ERR_PERMISSION, -ERR_GONE, ... where the directory cannot be read; whatever else is
 * not to be had leaves its field empty. */
int process_fds(const struct process *p, struct fd_list *ret, struct err *e);

/* "socket:[N]" or "pipe:[N]": N; else 0. */
uint64_t fd_target_inode(const char *target);
/* The pos: and flags: lines of a fdinfo file; false when either is missing or malformed. */
bool fdinfo_parse(const char *text, size_t len, uint64_t *ret_pos, uint64_t *ret_flags);

/* Which table a text is. */
enum socket_table { SOCKET_TCP, SOCKET_TCP6, SOCKET_UDP, SOCKET_UDP6, SOCKET_UNIX, SOCKET_TABLES };
/* "tcp": the file's name in /proc/PID/net. */
const char *socket_table_name(enum socket_table table);
/* Fills the socket of every fd_info whose inode a line of the text has. Lines it does not
 * understand, the heading for one, are passed over. */
void socket_table_apply(const char *text, size_t len, enum socket_table table, struct fd_list *fds);

#endif
