/* Held snapshots, out of /proc/net/unix. */
#include "dumpers/runtime/held.h"

#include "tests/unit/base/unit.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ID "00112233445566778899aabbccddeeff"

static void those_that_listen(void **state)
{
	static const char text[] =
	    "Num       RefCount Protocol Flags    Type St Inode Path\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 1 @podsnap-held-" ID "\n"
	    /* A client's connection to it. */
	    "0000000000000000: 00000003 00000000 00000000 0005 03 2 @podsnap-held-" ID "\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 3 @podsnap-0011223344556677\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 4 @podsnap-held-0011\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 5 @podsnap-held-" ID "0\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 6 @podsnap-held-" ID "\x1b\n"
	    "@podsnap-held-" ID "\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 7 /run/@podsnap-held-\n"
	    "0000000000000000: 00000002 00000000 00010000 0005 01 8 @podsnap-held-" ID;
	struct held_list list;

	for (size_t len = 0; len < sizeof(text); len++)
		held_list_parse(text, len, &list);
	held_list_parse(text, sizeof(text) - 1, &list);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.ids[0], ID);
	assert_string_equal(list.ids[1], ID);
}

static bool is_listed(const char *id)
{
	struct held_list list;

	held_list_read(&list);
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.ids[i], id) == 0) return true;
	return false;
}

static void as_the_kernel_has_them(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char id[HELD_ID_SIZE];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	size_t len;

	assert_true(fd >= 0);
	snprintf(id, sizeof(id), "%032x", (unsigned)getpid());
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, HELD_SOCKET_PREFIX "%s", id);
	len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)len), 0);
	assert_false(is_listed(id));
	assert_int_equal(listen(fd, 1), 0);
	assert_true(is_listed(id));
	close(fd);
	assert_false(is_listed(id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(those_that_listen),
	    cmocka_unit_test(as_the_kernel_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
