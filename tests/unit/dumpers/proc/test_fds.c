#include "dumpers/proc/fds.h"
#include "tests/unit/base/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

static void targets(void **state)
{
	assert_int_equal(fd_target_inode("socket:[123]"), 123);
	assert_int_equal(fd_target_inode("pipe:[77]"), 77);
	assert_int_equal(fd_target_inode("/tmp/socket:[123]"), 0);
	assert_int_equal(fd_target_inode("socket:[123"), 0);
	assert_int_equal(fd_target_inode("socket:[]"), 0);
	assert_int_equal(fd_target_inode("socket:[18446744073709551616]"), 0);
	assert_int_equal(fd_target_inode(""), 0);
}

static bool fdinfo(const char *text, uint64_t *pos, uint64_t *flags)
{
	return fdinfo_parse(text, strlen(text), pos, flags);
}

static void fdinfo_lines(void **state)
{
	uint64_t pos = 0, flags = 0;

	assert_true(fdinfo("pos:\t4096\nflags:\t0102001\nmnt_id:\t31\nino:\t5\n", &pos, &flags));
	assert_int_equal(pos, 4096);
	assert_int_equal(flags, 0102001);
	assert_false(fdinfo("pos:\t4096\n", &pos, &flags));
	assert_false(fdinfo("pos:\tx\nflags:\t9\n", &pos, &flags));
	assert_false(fdinfo("", &pos, &flags));
}

static struct fd_list sockets_of(struct fd_info *v, size_t count, const uint64_t *inodes)
{
	for (size_t i = 0; i < count; i++) {
		v[i] = (struct fd_info){.fd = (int)i, .inode = inodes[i]};
		snprintf(v[i].target, sizeof(v[i].target), "socket:[%llu]",
			 (unsigned long long)inodes[i]);
	}
	return (struct fd_list){.v = v, .count = count};
}

static void apply(struct fd_list *fds, enum socket_table table, const char *text)
{
	socket_table_apply(text, strlen(text), table, fds);
}

static void tcp_and_udp(void **state)
{
	static const char tcp[] =
	    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
	    "timeout inode\n"
	    "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101     "
	    " "
	    "  0 4711 1 0000000000000000 100 0 0 10 0\n"
	    "   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 00000000     0     "
	    " "
	    "  0 4712 1 0000000000000000 20 4 30 10 -1\n"
	    "   2: 0100007F:1F90 0200007F:D432 06 00000000:00000000 03:000017A2 00000000     0     "
	    " "
	    "  0 0 3 0000000000000000\n";
	static const char tcp6[] =
	    "   0: 00000000000000000000000001000000:0050 0000000000000000FFFF00000100007F:0051 08 "
	    "00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
	static const char udp[] = " 100: 0100007F:0035 00000000:0000 07 00000000:00000000 "
				  "00:00000000 00000000   102        0 4714 2 0 0\n";
	static const uint64_t inodes[] = {4712, 4711, 4713, 4714, 4711, 9999};
	struct fd_info v[ARRAY_SIZE(inodes)];
	struct fd_list fds = sockets_of(v, ARRAY_SIZE(inodes), inodes);

	apply(&fds, SOCKET_TCP, tcp);
	apply(&fds, SOCKET_TCP6, tcp6);
	apply(&fds, SOCKET_UDP, udp);
	assert_string_equal(v[0].socket.proto, "tcp");
	assert_string_equal(v[0].socket.state, "ESTABLISHED");
	assert_string_equal(v[0].socket.local, "127.0.0.1:8080");
	assert_string_equal(v[0].socket.peer, "127.0.0.2:54321");
	assert_string_equal(v[1].socket.state, "LISTEN");
	assert_string_equal(v[1].socket.local, "0.0.0.0:8080");
	assert_string_equal(v[1].socket.peer, "");
	assert_string_equal(v[2].socket.proto, "tcp6");
	assert_string_equal(v[2].socket.local, "[::1]:80");
	assert_string_equal(v[2].socket.peer, "[::ffff:127.0.0.1]:81");
	assert_string_equal(v[2].socket.state, "CLOSE_WAIT");
	assert_string_equal(v[3].socket.proto, "udp");
	assert_string_equal(v[3].socket.local, "127.0.0.1:53");
	assert_string_equal(v[4].socket.local, "0.0.0.0:8080");
	assert_string_equal(v[5].socket.proto, "");
}

static void unix_sockets(void **state)
{
	static const char text[] =
	    "Num       RefCount Protocol Flags    Type St Inode Path\n"
	    "0000000000000000: 00000002 00000000 00010000 0001 01    11 /run/with blank.sock\n"
	    "0000000000000000: 00000003 00000000 00000000 0001 03    12\n"
	    "0000000000000000: 00000003 00000000 00000000 0002 01    13 @abstract\n";
	static const uint64_t inodes[] = {11, 12, 13};
	struct fd_info v[3];
	struct fd_list fds = sockets_of(v, 3, inodes);

	apply(&fds, SOCKET_UNIX, text);
	assert_string_equal(v[0].socket.local, "/run/with blank.sock");
	assert_string_equal(v[0].socket.state, "LISTEN");
	assert_string_equal(v[1].socket.local, "");
	assert_string_equal(v[1].socket.state, "CONNECTED");
	assert_string_equal(v[2].socket.local, "@abstract");
	assert_string_equal(v[2].socket.state, "UNCONNECTED");
}

static void hostile_tables(void **state)
{
	static const char *const lines[] = {
	    "",
	    "\n",
	    "0: 0100007F:1F90\n",
	    "0: 0100007F1F90 0:0 01 0 0 0 0 0 5\n",
	    "0: 0100007F:11F90 0100007F:0 01 0 0 0 0 0 5\n",
	    "0: 0100007:1F90 0100007F:0 01 0 0 0 0 0 5\n",
	    "0: : : 01 0 0 0 0 0 5\n",
	    "0: 0 0 0 0 0 18446744073709551616\n",
	    "0: 0 0 zz 0 0 5\n",
	};
	static const uint64_t inodes[] = {5};
	struct fd_info v[1];
	struct fd_list fds = sockets_of(v, 1, inodes);

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		for (int t = 0; t < SOCKET_TABLES; t++)
			apply(&fds, (enum socket_table)t, lines[i]);
		assert_string_equal(v[0].socket.proto, "");
	}
	/* An unknown state is no state; a long path is cut. */
	apply(&fds, SOCKET_TCP, "0: 0100007F:1F90 0100007F:0 FF 0 0 0 0 0 5\n");
	assert_string_equal(v[0].socket.state, "");
	assert_string_equal(v[0].socket.proto, "tcp");

	char path[400];

	memset(path, 'p', sizeof(path));
	memcpy(path, "0: 0 0 0 1 1 5 /", 16);
	path[sizeof(path) - 1] = '\0';
	apply(&fds, SOCKET_UNIX, path);
	assert_int_equal(strlen(v[0].socket.local), SOCKET_TEXT_MAX - 1);
}

static const struct fd_info *find_fd(const struct fd_list *list, int fd)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->v[i].fd == fd) return &list->v[i];
	}
	fail_msg("fd %d is not in the list", fd);
	return NULL;
}

/* A listening and a connected socket of this process, as the kernel shows them. */
static void own_files(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t addr_len = sizeof(addr);
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_fd_list_ struct fd_list list = {0};
	char local[64];
	struct err e;

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &addr_len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(lseek(file, 100, SEEK_SET), 100);
	snprintf(local, sizeof(local), "127.0.0.1:%u", ntohs(addr.sin_port));

	assert_int_equal(process_open(getpid(), &p, &e), 0);
	assert_int_equal(process_fds(&p, &list, &e), 0);
	assert_string_equal(find_fd(&list, listener)->socket.state, "LISTEN");
	assert_string_equal(find_fd(&list, listener)->socket.local, local);
	assert_string_equal(find_fd(&list, client)->socket.state, "ESTABLISHED");
	assert_string_equal(find_fd(&list, client)->socket.peer, local);
	assert_contains(find_fd(&list, file)->target, program_invocation_short_name);
	assert_true(find_fd(&list, file)->has_fdinfo);
	assert_int_equal(find_fd(&list, file)->pos, 100);
	assert_true((find_fd(&list, file)->flags & O_CLOEXEC) != 0);
	assert_string_equal(find_fd(&list, epoll)->target, "anon_inode:[eventpoll]");
	for (size_t i = 1; i < list.count; i++)
		assert_true(list.v[i - 1].fd < list.v[i].fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(targets),        cmocka_unit_test(fdinfo_lines),
	    cmocka_unit_test(tcp_and_udp),    cmocka_unit_test(unix_sockets),
	    cmocka_unit_test(hostile_tables), cmocka_unit_test(own_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
